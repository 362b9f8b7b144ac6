"""Draw, without measuring, how requests travel: docs/pictures/{training-step,sample,clock-cycles}.svg.

python tools/draw_sequences.py
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from svg import AMBER, FAINT, GREY, INK, TEAL, Picture

FOLDER = Path(__file__).resolve().parents[1] / "docs" / "pictures"
ROW = 34

# (from, to, words): a message between two lanes; from == to: work done there; from < 0: a heading.
Message = tuple[int, int, str]

TRAINING_STEP: list[Message] = [
    (0, 1, "forward_backward(data)"),
    (1, 1, "check, cut into runs, encode"),
    (1, 2, "run of data, next seq_id"),
    (2, 3, "POST forward_backward"),
    (3, 2, "request_id: a promise"),
    (2, 0, "Future"),
    (0, 1, "optim_step(adam)"),
    (1, 2, "next seq_id"),
    (2, 3, "POST optim_step"),
    (3, 2, "request_id: a promise"),
    (2, 0, "Future"),
    (3, 3, "computes both, in order"),
    (2, 3, "POST retrieve_future (held until done)"),
    (3, 2, "numbers of each run"),
    (2, 2, "decode, fold the runs into one"),
    (2, 0, "result() returns"),
]
SAMPLE: list[Message] = [
    (0, 1, "sample(prompt)"),
    (1, 1, "check, encode; no round trip"),
    (1, 0, "Future, at once"),
    (1, 2, "a coroutine on the event loop"),
    (2, 2, "waits for a slot, and after a 429"),
    (2, 3, "POST asample"),
    (3, 2, "request_id: a promise"),
    (3, 3, "draws tokens"),
    (2, 3, "POST retrieve_future (held until done)"),
    (3, 2, "sequences"),
    (2, 0, "result() returns, callbacks run"),
]


def sequence(name: str, title: str, lanes: Sequence[str], messages: Sequence[Message]) -> None:
    """Draw a sequence diagram."""
    gap, left, top = 216, 92, 78
    picture = Picture(left * 2 + gap * (len(lanes) - 1), top + ROW * len(messages) + 24, title)
    bottom = top + ROW * len(messages)
    for index, lane in enumerate(lanes):
        x = left + gap * index
        picture.box(x - 78, 22, 156, 32, "#e0f2f1", TEAL)
        picture.text(x, 43, lane, 13, INK, "middle", bold=True)
        picture.line([(x, 54), (x, bottom)], GREY, 1, dashed=True)
    for index, (start, stop, words) in enumerate(messages):
        y = top + ROW * index + 14
        x1, x2 = left + gap * start, left + gap * stop
        if start == stop:
            picture.dot(x1, y, AMBER, 4)
            last = start == len(lanes) - 1
            picture.text(
                x1 + (-10 if last else 10), y + 4, words, 12, INK, "end" if last else "start"
            )
            continue
        back = stop < start
        picture.arrow(x1, x2, y, TEAL if back else INK, dashed=back)
        picture.text((x1 + x2) / 2, y - 6, words, 12, INK, "middle")
    picture.write(FOLDER / f"{name}.svg")


def clock_cycles() -> None:
    """Draw what a missed cycle costs."""
    left, cycle, top = 164, 104, 92
    picture = Picture(left + cycle * 6 + 40, 302, "Clock cycles of the service")
    picture.text(20, 28, "Clock cycles of the service (drawn, not measured)", 14, bold=True)
    picture.text(20, 47, "Each cycle has a pass and an update. What is not in the queue when a cycle begins misses it.", 12, FAINT)  # fmt: skip
    for index in range(7):
        x = left + cycle * index
        picture.line([(x, top - 22), (x, 268)], GREY, 1, dashed=True)
        if index < 6:
            picture.text(x + cycle / 2, top - 14, f"cycle {index + 1}", 11, FAINT, "middle")
    rows = [
        ("wait for each call", [(0, "fb 1"), (1.5, "opt 1"), (3, "fb 2"), (4.5, "opt 2")]),
        ("train_step, then wait", [(0, "fb 1"), (0.5, "opt 1"), (2, "fb 2"), (2.5, "opt 2"), (4, "fb 3"), (4.5, "opt 3")]),
        ("one step ahead", [(0, "fb 1"), (0.5, "opt 1"), (1, "fb 2"), (1.5, "opt 2"), (2, "fb 3"), (2.5, "opt 3")]),
    ]  # fmt: skip
    for number, (name, blocks) in enumerate(rows):
        y = top + 12 + 58 * number
        picture.text(left - 10, y + 20, name, 12, INK, "end", bold=True)
        for place, words in blocks:
            color = TEAL if words.startswith("fb") else AMBER
            x = left + cycle * place + 3
            picture.box(x, y, cycle / 2 - 6, 30, color)
            picture.text(x + cycle / 4 - 3, y + 20, words, 12, "#ffffff" if color == TEAL else INK, "middle")  # fmt: skip
    picture.text(left, 290, "fb: forward_backward, opt: optim_step", 11, FAINT)
    picture.write(FOLDER / "clock-cycles.svg")


def main() -> None:
    """Draw all three."""
    lanes = ["your program", "TrainingClient", "event loop", "server"]
    sequence("training-step", "The way of one training step", lanes, TRAINING_STEP)
    lanes = ["your program", "SamplingClient", "event loop", "server"]
    sequence("sample", "The way of one sample", lanes, SAMPLE)
    clock_cycles()


if __name__ == "__main__":
    main()
