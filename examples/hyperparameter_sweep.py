"""Sweep learning rate and rank: one training client for each setting, all at the same time.

    python examples/hyperparameter_sweep.py

The clients are created side by side. Then every step of every client is submitted before the first
result is waited for, so the server always has work, whatever the way there. Each is judged by its loss
on what is held out, with the same data in the same order; the best is saved. The comparison is drawn to
hyperparameter_sweep.svg. About 15 seconds on the local server, which trains one model after the other;
the hosted service trains them in parallel.

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_DATA (data/tickets.jsonl),
TINKER_RATES (comma-separated), TINKER_RANKS (4,16), TINKER_STEPS (16), TINKER_BATCH_SIZE (16),
TINKER_PLOT (hyperparameter_sweep.svg).
"""

from __future__ import annotations

import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from connection import base_model, connect, setting
from conversation import TICKETS, Format, batches, read_exchanges
from drawing import Panel, draw

from tinkex import (
    AdamParams,
    Datum,
    ForwardBackwardOutput,
    Future,
    TinkexError,
    TrainingClient,
)

N = TypeVar("N", int, float)
HELD_OUT = 40


@dataclass(frozen=True)
class Trial:
    """One setting, the client that tries it, and its loss on what is held out, when it is there."""

    rate: float
    rank: int
    training: TrainingClient
    held_out: Future[ForwardBackwardOutput]
    tokens: float

    def loss(self) -> float:
        """Wait for the last result, and return the loss per token."""
        return self.held_out.result().loss / self.tokens


def numbers(name: str, default: Sequence[N], convert: Callable[[str], N]) -> list[N]:
    """Return a comma-separated setting."""
    return setting(name, list(default), lambda text: [convert(one) for one in text.split(",")])


def begin(
    rate: float, rank: int, training: TrainingClient, steps: list[list[Datum]], test: list[Datum]
) -> Trial:
    """Submit all steps and the evaluation after them; none of it is waited for."""
    for number, batch in enumerate(steps):
        adam = AdamParams(learning_rate=rate * (1 - number / len(steps)))
        training.train_step(batch, "cross_entropy", adam)
    tokens = sum(float(datum.loss_fn_inputs["weights"].numpy().sum()) for datum in test)
    return Trial(rate, rank, training, training.forward(test, "cross_entropy"), tokens)


def show(trials: Sequence[Trial]) -> Trial:
    """Print a table of all trials, and return the best."""
    losses = {(one.rate, one.rank): one.loss() for one in trials}
    ranks = sorted({one.rank for one in trials})
    print(
        "held-out loss per token\n  learning rate" + "".join(f"  rank {rank:3}" for rank in ranks)
    )
    for rate in sorted({one.rate for one in trials}):
        print(f"  {rate:13g}" + "".join(f"  {losses[rate, rank]:8.4f}" for rank in ranks))
    return min(trials, key=Trial.loss)


def panel_of(trials: Sequence[Trial]) -> Panel:
    """Return the losses over the learning rates, with a curve for each rank."""
    curves = {
        f"rank {rank}": [(one.rate, one.loss()) for one in trials if one.rank == rank]
        for rank in sorted({one.rank for one in trials})
    }
    return Panel("held-out loss per token", "learning rate", curves, log_x=True, dots=True)


def main() -> None:
    """Create, submit, wait, compare, and draw."""
    steps = max(1, setting("TINKER_STEPS", 16, int))
    plot = Path(setting("TINKER_PLOT", "hyperparameter_sweep.svg", str))
    exchanges = read_exchanges(setting("TINKER_DATA", TICKETS, Path))
    if len(exchanges) <= HELD_OUT:
        sys.exit(
            f"error: TINKER_DATA holds {len(exchanges)} conversations; {HELD_OUT} are held out"
        )
    random.Random(0).shuffle(exchanges)
    with connect() as service:
        model = base_model(service)
        small = model.startswith("tinkex/")
        rates = numbers(
            "TINKER_RATES", (2e-3, 8e-3, 3.2e-2) if small else (1e-4, 3e-4, 1e-3), float
        )
        settings = [
            (rate, rank) for rate in rates for rank in numbers("TINKER_RANKS", (4, 16), int)
        ]
        print(f"{len(settings)} settings, {steps} steps each, of {model}")
        started = time.perf_counter()
        jobs = [
            service.submit(service.create_lora_training_client, model, rank=rank, seed=0)
            for _, rank in settings
        ]
        clients = [job.result() for job in jobs]
        print(f"All clients after {time.perf_counter() - started:.2f} s")

        form = Format(clients[0].get_tokenizer())
        data = [form.datum(one) for one in exchanges]
        size = max(1, setting("TINKER_BATCH_SIZE", 16, int))
        in_turn = batches(data[HELD_OUT:], size, steps)
        trials = [
            begin(rate, rank, client, in_turn, data[:HELD_OUT])
            for (rate, rank), client in zip(settings, clients, strict=True)
        ]
        print(f"All steps submitted after {time.perf_counter() - started:.2f} s")
        best = show(trials)
        print(f"All results after {time.perf_counter() - started:.2f} s")
        saved = best.training.save_weights_for_sampler("best-of-sweep", ttl_seconds=86_400)
        print(
            f"Measured: best of {len(trials)}: learning rate {best.rate:g}, rank {best.rank}, "
            f"held-out loss {best.loss():.4f} per token"
        )
        print(f"Saved for a day: {saved.result().path}")
    draw(plot, f"{model}: {steps} steps with {len(trials)} settings", [panel_of(trials)])
    print(f"Picture: {plot}")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
