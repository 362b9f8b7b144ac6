"""Measure five training steps in three ways of waiting, and draw docs/pictures/pipelining.svg.

python tools/draw_pipelining.py

The server is the local one, its answers and polls delayed by LATENCY seconds each as a distant
server's would be. Client times are taken around the calls; server times come from the session's
trace. All three runs do the same work.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
from svg import AMBER, FAINT, GREY, INK, TEAL, Picture

import tinkex
from tinkex.local import LocalServer
from tinkex.testing import Fault

TARGET = Path(__file__).resolve().parents[1] / "docs" / "pictures" / "pipelining.svg"
STEPS = 5
ROUNDS = 4  # the ways in turn; the quickest run of each is drawn
LATENCY = 0.1
ADAM = tinkex.AdamParams(learning_rate=1e-3)

Span = tuple[str, float, float]
Way = Callable[[tinkex.TrainingClient, list[tinkex.Datum]], Iterator[Any]]


def one_call_at_a_time(training: tinkex.TrainingClient, data: list[tinkex.Datum]) -> Iterator[Any]:
    """Wait for each call before the next."""
    for _ in range(STEPS):
        yield training.forward_backward(data, "cross_entropy").result
        yield training.optim_step(ADAM).result


def one_step_at_a_time(training: tinkex.TrainingClient, data: list[tinkex.Datum]) -> Iterator[Any]:
    """Submit both calls of a step, then wait for both."""
    for _ in range(STEPS):
        gradients, update = training.train_step(data, "cross_entropy", ADAM)
        yield gradients.result
        yield update.result


def one_step_ahead(training: tinkex.TrainingClient, data: list[tinkex.Datum]) -> Iterator[Any]:
    """Submit the next step before waiting for this one."""
    pending = training.train_step(data, "cross_entropy", ADAM)
    for _ in range(STEPS - 1):
        following = training.train_step(data, "cross_entropy", ADAM)
        yield pending[0].result
        yield pending[1].result
        pending = following
    yield pending[0].result
    yield pending[1].result


WAYS: list[tuple[str, Way]] = [
    ("wait for each call", one_call_at_a_time),
    ("train_step, then wait", one_step_at_a_time),
    ("one step ahead", one_step_ahead),
]


def measure(way: Way) -> list[Span]:
    """Run the steps in a separate session; return the events with their times from zero."""
    slow = Fault(latency=LATENCY / 2, hold=LATENCY / 2, times=None)
    spans: list[Span] = []
    with LocalServer() as server, tinkex.ServiceClient(base_url=server.base_url) as service:
        training = service.create_lora_training_client("tinkex/tiny-chat", rank=16, seed=0)
        tokens = list(range(20, 276))
        datum = tinkex.Datum(
            tinkex.ModelInput.from_ints(tokens[:-1]),
            {"target_tokens": tokens[1:], "weights": [1.0] * 255},
        )
        training.train_step([datum], "cross_entropy", ADAM)[1].result()  # warm
        server.faults.add(slow)
        start = time.time()
        mark = start
        for wait in way(training, [datum] * 8):
            submitted = time.time()
            spans.append(("submit", mark - start, submitted - start))
            wait()
            mark = time.time()
            spans.append(("wait", submitted - start, mark - start))
        server.faults.clear()
        session = training.model_id.partition(":")[0]
        trace = httpx.get(service.create_rest_client().export_session_trace(session).url).json()
    for event in trace["traceEvents"]:
        begun = event.get("ts", 0) / 1e6 - start
        if event["ph"] == "X" and begun >= 0 and event["name"] != "create_model":
            spans.append((event["name"], begun, begun + event["dur"] / 1e6))
    return spans


def ended(spans: list[Span]) -> float:
    """Return when the last span ended."""
    return max(stop for _, _, stop in spans)


def draw(runs: list[tuple[str, list[Span]]]) -> None:
    """Draw the runs under one another, on one axis of time."""
    left, top, width, row = 204, 62, 570, 74
    end = max(ended(spans) for _, spans in runs)
    scale = width / end
    picture = Picture(left + width + 40, top + row * len(runs) + 66, "Five steps, three ways")
    picture.text(20, 26, f"Five training steps, measured; each request takes {LATENCY * 1000:.0f} ms longer than on this machine", 14, bold=True)  # fmt: skip
    legend = [(GREY, "waiting for a result"), (INK, "submitting"), (TEAL, "forward_backward"), (AMBER, "optim_step")]  # fmt: skip
    for index, (color, words) in enumerate(legend):
        picture.box(20 + 165 * index, 37, 12, 12, color)
        picture.text(37 + 165 * index, 48, words, 12)
    colors = {"wait": GREY, "submit": INK, "forward_backward": TEAL, "optim_step": AMBER}
    for index, (name, spans) in enumerate(runs):
        y = top + 14 + row * index
        picture.text(20, y + 22, name, 13, bold=True)
        picture.text(left - 8, y + 12, "you", 11, FAINT, "end")
        picture.text(left - 8, y + 36, "server", 11, FAINT, "end")
        for kind, begun, stop in spans:
            lane = 0 if kind in ("wait", "submit") else 24
            picture.box(left + begun * scale, y + lane, (stop - begun) * scale, 16, colors[kind])
        last = ended(spans)
        picture.text(left + last * scale, y + 58, f"{last:.2f} s", 12, INK, "end", bold=True)
    bottom = top + 14 + row * len(runs)
    picture.line([(left, bottom), (left + width, bottom)], FAINT)
    for tick in range(int(end) + 1):
        picture.line([(left + tick * scale, bottom), (left + tick * scale, bottom + 5)], FAINT)
        picture.text(left + tick * scale, bottom + 20, f"{tick} s", 11, FAINT, "middle")
    picture.write(TARGET)


def main() -> None:
    """Measure and draw."""
    rounds = [[measure(way) for _, way in WAYS] for _ in range(ROUNDS)]
    quickest = [min(runs, key=ended) for runs in zip(*rounds, strict=True)]
    draw([(name, spans) for (name, _), spans in zip(WAYS, quickest, strict=True)])


if __name__ == "__main__":
    main()
