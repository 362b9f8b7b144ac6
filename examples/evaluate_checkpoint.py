"""Evaluate a checkpoint against its base model, with intervals and the mistakes.

    python examples/evaluate_checkpoint.py

Asks both about the held-out lines of a JSONL file, and reports the share of right answers with its 95 %
interval (Wilson 1927), how probable each finds the wanted answers, which questions only one of the two
gets right, and what the checkpoint says instead. Without TINKER_CHECKPOINT_PATH one is trained first,
too briefly to be perfect. The comparison is drawn to evaluate_checkpoint.svg. About 7 seconds on the
local server.

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_CHECKPOINT_PATH (of weights to
sample from), TINKER_DATA (data/tickets.jsonl), TINKER_HELD_OUT (80), TINKER_STEPS (12, of the brief
training), TINKER_LEARNING_RATE, TINKER_PLOT (evaluate_checkpoint.svg).
"""

from __future__ import annotations

import math
import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from connection import base_model, connect, learning_rate, setting
from conversation import TICKETS, Exchange, Format, batches, read_exchanges
from drawing import Bar, Panel, draw

from tinkex import AdamParams, ModelInput, SamplingClient, ServiceClient, TinkexError

Z = 1.96


@dataclass(frozen=True)
class Report:
    """What one model did with all questions."""

    answers: list[str]
    right: list[bool]
    logprob: float

    def bar(self) -> Bar:
        """Return the share of right answers and its 95 % interval."""
        return wilson(sum(self.right), len(self.right))


def wilson(right: int, count: int) -> Bar:
    """Return a share with the interval that holds the true one in 95 of 100 cases."""
    share = right / count
    middle = (share + Z**2 / (2 * count)) / (1 + Z**2 / count)
    spread = math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    half = Z * spread / (1 + Z**2 / count)
    return Bar(share, max(0.0, middle - half), min(1.0, middle + half))


def train_briefly(service: ServiceClient, model: str, seen: Sequence[Exchange]) -> str:
    """Train a few steps, and return the path of the weights."""
    steps = max(1, setting("TINKER_STEPS", 12, int))
    print(f"TINKER_CHECKPOINT_PATH is not set: training {model} for {steps} steps.")
    training = service.create_lora_training_client(model, rank=16, seed=0)
    form = Format(training.get_tokenizer())
    adam = AdamParams(learning_rate=learning_rate(model, small=4e-3))
    for batch in batches([form.datum(one) for one in seen], 16, steps):
        training.train_step(batch, "cross_entropy", adam)
    saved = training.save_weights_for_sampler("to-evaluate", ttl_seconds=86_400)
    return saved.result().path or ""


def answer_logprob(form: Format, sampler: SamplingClient, held_out: Sequence[Exchange]) -> float:
    """Return the mean log probability of a token of the wanted answers."""
    lengths, futures = [], []
    for one in held_out:
        answer = form.answer(one.answer)
        whole = ModelInput.from_ints([*form.question(one.question), *answer])
        lengths.append(len(answer))
        futures.append(sampler.compute_logprobs(whole))
    scores = [
        score
        for length, future in zip(lengths, futures, strict=True)
        for score in future.result()[-length:]
    ]
    return sum(score for score in scores if score is not None) / len(scores)


def evaluate(sampler: SamplingClient, held_out: Sequence[Exchange]) -> Report:
    """Sample responses to all questions, and score the expected ones."""
    form = Format(sampler.get_tokenizer())
    answers = form.answers(sampler, [one.question for one in held_out])
    right = [said == one.answer for said, one in zip(answers, held_out, strict=True)]
    return Report(answers, right, answer_logprob(form, sampler, held_out))


def show(name: str, report: Report) -> None:
    """Print one line for a model."""
    bar = report.bar()
    print(
        f"Measured: {name}: {sum(report.right)} of {len(report.right)} right = {bar.height:.1%} "
        f"({bar.low:.1%} to {bar.high:.1%}), perplexity of the answers {math.exp(-report.logprob):.2f}"
    )


def compare(base: Report, tuned: Report, held_out: Sequence[Exchange]) -> dict[str, Bar]:
    """Print where the two differ and what is still wrong; return the tuned shares by answer."""
    gained = sum(now and not then for now, then in zip(tuned.right, base.right, strict=True))
    lost = sum(then and not now for now, then in zip(tuned.right, base.right, strict=True))
    print(f"Right only with the checkpoint: {gained}; only without it: {lost}")
    shares = {}
    for wanted in sorted({one.answer for one in held_out}):
        mine = [at for at, one in enumerate(held_out) if one.answer == wanted]
        shares[wanted] = wilson(sum(tuned.right[at] for at in mine), len(mine))
        wrong = Counter(tuned.answers[at] for at in mine if not tuned.right[at])
        instead = ", ".join(f"{said!r} x {times}" for said, times in wrong.most_common(3))
        print(
            f"  {wanted:10} {shares[wanted].height:4.0%} of {len(mine)}; instead: {instead or '-'}"
        )
    return shares


def main() -> None:
    """Find or make a checkpoint, evaluate both, compare, and draw."""
    plot = Path(setting("TINKER_PLOT", "evaluate_checkpoint.svg", str))
    exchanges = read_exchanges(setting("TINKER_DATA", TICKETS, Path))
    random.Random(0).shuffle(exchanges)
    count = min(setting("TINKER_HELD_OUT", 80, int), len(exchanges) - 1)
    if count < 1:
        sys.exit("error: TINKER_DATA and TINKER_HELD_OUT leave nothing to evaluate on")
    held_out, seen = exchanges[:count], exchanges[count:]
    with connect() as service:
        path = os.environ.get("TINKER_CHECKPOINT_PATH")
        path = path or train_briefly(service, base_model(service), seen)
        sampler = service.create_sampling_client(path)
        model = sampler.get_base_model()
        print(f"Checkpoint: {path}\nBase model: {model}; {count} held-out questions")
        tuned = evaluate(sampler, held_out)
        base = evaluate(service.create_sampling_client(base_model=model), held_out)
        show("base model", base)
        show("checkpoint", tuned)
        shares = compare(base, tuned, held_out)
    panels = [
        Panel(
            "share right, with 95 % intervals",
            bars={"base model": base.bar(), "checkpoint": tuned.bar()},
            y_range=(0, 1),
        ),
        Panel("checkpoint, by wanted answer", bars=shares, y_range=(0, 1)),
    ]
    draw(plot, f"{model} on {count} held-out questions", panels)
    print(f"Picture: {plot}")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
