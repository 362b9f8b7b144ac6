"""Train as `make demo` does, look at held-out orders on the way, and draw docs/pictures/training-run.svg.

python tools/draw_training_run.py
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "examples"))

import demo  # noqa: E402
from svg import FAINT, INK, ROSE, TEAL, Picture  # noqa: E402

import tinkex  # noqa: E402

STEPS, EVERY = 40, 4


def run() -> tuple[list[float], list[tuple[int, int]], list[tuple[str, str]], str]:
    """Train; return the losses, (step, orders right), the last answers and a line about the setting."""
    orders = demo.read_orders(demo.ORDERS)
    held_out, training_set = orders[: demo.HELD_OUT], orders[demo.HELD_OUT :]
    losses: list[float] = []
    right: list[tuple[int, int]] = []
    with tinkex.ServiceClient(base_url="local") as service:
        training = service.create_lora_training_client("tinkex/tiny-chat", rank=demo.RANK, seed=1)
        tokenizer = training.get_tokenizer()
        data = [demo.training_datum(tokenizer, *pair) for pair in training_set]
        for step in range(STEPS + 1):
            if step % EVERY == 0:
                sampler = training.save_weights_and_get_sampling_client()
                said = demo.answer(sampler, tokenizer, [order for order, _ in held_out])
                right.append((step, sum(a == b for a, (_, b) in zip(said, held_out, strict=True))))
                print(f"step {step}: {right[-1][1]} of {len(held_out)} right")
            if step == STEPS:
                break
            batch = [data[(step * demo.BATCH + i) % len(data)] for i in range(demo.BATCH)]
            rate = demo.LEARNING_RATE * (1 - step / STEPS)
            adam = tinkex.AdamParams(learning_rate=rate)
            output, _ = training.train_step(batch, "cross_entropy", adam)
            counted = sum(sum(datum.loss_fn_inputs["weights"].data) for datum in batch)
            losses.append(output.result().loss / counted)
    line = f"tinkex/tiny-chat, LoRA rank {demo.RANK}, {STEPS} steps of {demo.BATCH} orders, on {os.cpu_count()} CPU cores"
    return losses, right, [(held_out[0][0], said[0])], line


def axis(picture: Picture, x: float, width: float, bottom: float) -> None:
    """Draw the axis of steps."""
    picture.line([(x, bottom), (x + width, bottom)], FAINT)
    for tick in range(0, STEPS + 1, 10):
        place = x + width * tick / STEPS
        picture.line([(place, bottom), (place, bottom + 4)], FAINT)
        picture.text(place, bottom + 18, str(tick), 11, FAINT, "middle")
    picture.text(x + width, bottom + 34, "step", 11, FAINT, "end")


def main() -> None:
    """Run and draw."""
    losses, right, examples, line = run()
    picture = Picture(
        820, 330, "A training run: the loss falls, validation responses become correct"
    )
    picture.text(24, 28, "Orders in plain English to JSON: a run of make demo", 15, bold=True)
    picture.text(24, 46, line, 12, FAINT)
    top, bottom, width = 84, 230, 340
    for x, title in (
        (48, "loss per token"),
        (440, f"validation orders correct, of {demo.HELD_OUT}"),
    ):
        picture.text(x, top - 12, title, 13)
        axis(picture, x, width, bottom)
    most = max(losses)
    for value in (0, most / 2, most):
        y = bottom - (bottom - top) * value / most
        picture.text(42, y + 4, f"{value:.1f}", 11, FAINT, "end")
    picture.line(
        [
            (48 + width * (i + 1) / STEPS, bottom - (bottom - top) * loss / most)
            for i, loss in enumerate(losses)
        ],
        TEAL,
        2.2,
    )
    points = [
        (440 + width * step / STEPS, bottom - (bottom - top) * n / demo.HELD_OUT)
        for step, n in right
    ]
    picture.line(points, ROSE, 2.2)
    for x, y in points:
        picture.dot(x, y, ROSE)
    for value in (0, demo.HELD_OUT // 2, demo.HELD_OUT):
        y = bottom - (bottom - top) * value / demo.HELD_OUT
        picture.text(434, y + 4, str(value), 11, FAINT, "end")
    order, answer = examples[0]
    for y, what, words, color in ((290, "order", order, INK), (310, "answer", answer, TEAL)):
        picture.text(24, y, what, 12, FAINT)
        picture.text(76, y, words, 12, color, mono=True)
    picture.write(ROOT / "docs" / "pictures" / "training-run.svg")


if __name__ == "__main__":
    main()
