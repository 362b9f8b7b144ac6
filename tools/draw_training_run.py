"""Train as `make demo` does, look at held-out orders on the way, and draw docs/pictures/training-run*.svg.

python tools/draw_training_run.py
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "examples"))

import demo  # noqa: E402
from svg import FAINT, INK, ROSE, TEAL, Picture  # noqa: E402

import tinkex  # noqa: E402

STEPS, EVERY = 40, 4
# Of a chart.
WIDTH, HEIGHT = 340, 146
PICTURES = ROOT / "docs" / "pictures"


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


def scale(picture: Picture, x: float, top: float, bottom: float, values: Sequence[str]) -> None:
    """Write values on the left of a chart, from its bottom to its top."""
    for number, value in enumerate(values):
        y = bottom - (bottom - top) * number / (len(values) - 1)
        picture.text(x - 6, y + 4, value, 11, FAINT, "end")


def losses_drawn(picture: Picture, losses: Sequence[float], x: float, y: float) -> None:
    """Draw the loss of each step; the chart's upper left corner is given."""
    top, bottom, most = y, y + HEIGHT, max(losses)
    picture.text(x, top - 12, "loss per token", 13)
    axis(picture, x, WIDTH, bottom)
    scale(picture, x, top, bottom, [f"{value:.1f}" for value in (0, most / 2, most)])
    points = [
        (x + WIDTH * (i + 1) / STEPS, bottom - HEIGHT * loss / most)
        for i, loss in enumerate(losses)
    ]
    picture.line(points, TEAL, 2.2)


def right_drawn(picture: Picture, right: Sequence[tuple[int, int]], x: float, y: float) -> None:
    """Draw how many validation orders were right; the chart's upper left corner is given."""
    top, bottom = y, y + HEIGHT
    picture.text(x, top - 12, f"validation orders correct, of {demo.HELD_OUT}", 13)
    axis(picture, x, WIDTH, bottom)
    scale(picture, x, top, bottom, [str(n) for n in (0, demo.HELD_OUT // 2, demo.HELD_OUT)])
    points = [(x + WIDTH * step / STEPS, bottom - HEIGHT * n / demo.HELD_OUT) for step, n in right]
    picture.line(points, ROSE, 2.2)
    for place in points:
        picture.dot(*place, ROSE)


def main() -> None:
    """Run, and draw a picture for wide pages and one for phones."""
    losses, right, [(order, answer)], line = run()
    title = "A training run: the loss falls, validation responses become correct"
    wide, narrow = Picture(820, 330, title), Picture(420, 580, title)
    wide.text(24, 28, "Orders in plain English to JSON: a run of make demo", 15, bold=True)
    narrow.text(12, 28, "Orders in plain English to JSON: make demo", 15, bold=True)
    wide.text(24, 46, line, 12, FAINT)
    for y, part in zip((46, 62), line.split(" steps of "), strict=True):
        narrow.text(12, y, part if y == 46 else f"steps of {part}", 12, FAINT)
    losses_drawn(wide, losses, 48, 84)
    right_drawn(wide, right, 440, 84)
    losses_drawn(narrow, losses, 48, 100)
    right_drawn(narrow, right, 48, 318)
    for number, (what, words, color) in enumerate(
        (("order", order, INK), ("answer", answer, TEAL))
    ):
        wide.text(24, 290 + 20 * number, what, 12, FAINT)
        wide.text(76, 290 + 20 * number, words, 12, color, mono=True)
        narrow.text(12, 515 + 32 * number, what, 11, FAINT)
        narrow.text(12, 528 + 32 * number, words, 10, color, mono=True)
    wide.write(PICTURES / "training-run.svg")
    narrow.write(PICTURES / "training-run-narrow.svg")


if __name__ == "__main__":
    main()
