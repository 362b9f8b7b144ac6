"""Supervised fine-tuning on a JSONL file: teach a model to sort customers' messages.

    python examples/sft_jsonl.py

Trains on the conversations of a file, watches the loss on some that are held out, and asks the model
about these before and after. The curves are drawn to sft_jsonl.svg; every step is a line in
sft_jsonl.metrics.jsonl, which `tinkex.training_log.plot` draws as well. About 10 seconds on the local
server.

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL, TINKER_DATA (a file with lines of
{"messages": [...]}; data/tickets.jsonl), TINKER_STEPS (40), TINKER_BATCH_SIZE (16), TINKER_RANK (16),
TINKER_LEARNING_RATE, TINKER_PLOT (sft_jsonl.svg).
"""

from __future__ import annotations

import random
import sys
from pathlib import Path

from connection import base_model, connect, learning_rate, setting
from conversation import TICKETS, Exchange, Format, batches, read_exchanges, share_right
from drawing import Panel, Points, draw

from tinkex import (
    AdamParams,
    Datum,
    ForwardBackwardOutput,
    SamplingClient,
    TinkexError,
    TrainingClient,
)
from tinkex.observability.training_log import TrainingLog

HELD_OUT = 40
EVALUATE_EVERY = 4


def per_token(output: ForwardBackwardOutput, data: list[Datum]) -> float:
    """Return the loss for each token that counts; the server gives the sum."""
    return output.loss / sum(float(datum.loss_fn_inputs["weights"].numpy().sum()) for datum in data)


def held_out_loss(training: TrainingClient, test: list[Datum]) -> float:
    """Return the loss per token on what is not trained on; no gradients are made."""
    return per_token(training.forward(test, "cross_entropy").result(), test)


def show(when: str, form: Format, sampler: SamplingClient, held_out: list[Exchange]) -> float:
    """Ask about what is held out, print some answers, and return the share that is right."""
    answers = form.answers(sampler, [one.question for one in held_out])
    right = share_right(answers, held_out)
    print(f"{when}: {right:.0%} of {len(held_out)} held-out answers right")
    for said, one in list(zip(answers, held_out, strict=True))[:3]:
        print(f"  {one.question!r}: {said!r}, wanted {one.answer!r}")
    return right


def main() -> None:
    """Read, train, evaluate, and draw."""
    steps = max(1, setting("TINKER_STEPS", 40, int))
    size = max(1, setting("TINKER_BATCH_SIZE", 16, int))
    plot = Path(setting("TINKER_PLOT", "sft_jsonl.svg", str))
    exchanges = read_exchanges(setting("TINKER_DATA", TICKETS, Path))
    if len(exchanges) < 2 * HELD_OUT:
        sys.exit(f"error: TINKER_DATA holds {len(exchanges)} conversations; give {2 * HELD_OUT}")
    random.Random(0).shuffle(exchanges)
    held_out, seen = exchanges[:HELD_OUT], exchanges[HELD_OUT:]
    with connect() as service:
        model = base_model(service)
        rate = learning_rate(model, small=4e-3)
        print(f"{len(seen)} conversations to train {model} on, {len(held_out)} held out")
        training = service.create_lora_training_client(
            model, rank=setting("TINKER_RANK", 16, int), seed=0
        )
        form = Format(training.get_tokenizer())
        data, test = [form.datum(one) for one in seen], [form.datum(one) for one in held_out]
        before = show("Before", form, training.save_weights_and_get_sampling_client(), held_out)

        losses: list[float] = []
        tested: list[tuple[float, float]] = []
        with TrainingLog(plot.with_suffix(".metrics.jsonl")) as log:
            for step, batch in enumerate(batches(data, size, steps)):
                if step % EVALUATE_EVERY == 0:
                    tested.append((step, held_out_loss(training, test)))
                # Falling to nothing, so that the last steps settle what the first have found.
                adam = AdamParams(learning_rate=rate * (1 - step / steps))
                gradients, update = training.train_step(batch, "cross_entropy", adam)
                losses.append(per_token(gradients.result(), batch))
                norm = (update.result().metrics or {}).get("unclipped_grad_l2:mean")
                log.step(step, loss=losses[-1], grad_norm=norm, learning_rate=adam.learning_rate)
                print(f"  step {step + 1:3}/{steps}  loss {losses[-1]:.4f}", flush=True)
        tested.append((steps, held_out_loss(training, test)))

        saved = training.save_weights_for_sampler("tickets", ttl_seconds=86_400).result()
        after = show("After", form, training.create_sampling_client(saved.path or ""), held_out)
        print(f"Measured: held-out loss per token {tested[0][1]:.3f} -> {tested[-1][1]:.3f}")
        print(f"Measured: held-out answers right {before:.0%} -> {after:.0%}")
        print(f"Saved for a day: {saved.path}")
    title = f"Fine-tuning {model} on {len(seen)} conversations"
    curves: dict[str, Points] = {"training": losses, "held out": tested}
    draw(plot, title, [Panel("loss per token of the answers", "step", curves=curves)])
    print(f"Picture: {plot}; the steps: {log.path}")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
