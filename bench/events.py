"""Measure the cost of instrumentation, without and with subscribers.

    python bench/events.py [--baseline 1c81eac] [--repeat 7] [--samples 1500]

Samples are submitted and polled one after the other on the stand-in server, by this checkout and by the
baseline, the last commit whose transport had no events, in fresh processes that take turns. What is
compared is the CPU time of a sample; of the readings of each, the least counts, as whatever disturbs a
reading only adds to it. Run it on a machine with nothing else to do.

Between the two commits other things changed as well. So the last line is measured by itself: the
statements that a sample passes in a quiet program and that are there for events alone, many times over.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from client import standin

ROOT = Path(__file__).resolve().parents[1]
BASELINE = "1c81eac"
# Name, and what listens in this checkout; None is the baseline.
WORKS: dict[str, str | None] = {
    "baseline, which has no events": None,
    "nobody listens": "nobody",
    "one handler of the queue's changes": "queue",
    "metrics and the token ledger": "metrics",
    "a handler of every event": "every",
    "the statements for events, alone": "guards",
}


@contextmanager
def checkout(commit: str) -> Iterator[Path]:
    """Yield a folder with the sources of a commit."""
    with tempfile.TemporaryDirectory() as folder:
        archive = subprocess.run(
            ["git", "archive", commit, "tinkex", "generated"],
            cwd=ROOT, check=True, capture_output=True,
        ).stdout  # fmt: skip
        subprocess.run(["tar", "-x", "-C", folder], input=archive, check=True)
        yield Path(folder)


def reading(root: Path, listener: str, url: str, samples: int) -> float:
    """Return the CPU seconds of a sample, measured in a separate process."""
    command = [sys.executable, __file__, "--work", listener, "--root", str(root)]
    command += ["--url", url, "--samples", str(samples)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def work(root: str, listener: str, url: str, samples: int) -> float:
    """Sample, with or without subscribers."""
    sys.path[:0] = [root, str(Path(root) / "generated")]
    import tinkex

    if not Path(tinkex.__file__).is_relative_to(Path(root)):
        raise SystemExit(f"measured the wrong tinkex: {tinkex.__file__}")
    config = tinkex.Config.resolve(environ={}, base_url=url, api_key="tml-bench")
    with ExitStack() as stack:
        _listen(stack, listener)
        service = stack.enter_context(tinkex.ServiceClient(config=config))
        sampler = service.create_sampling_client(base_model="bench")
        prompt = tinkex.ModelInput.from_ints(list(range(1001, 1129)))
        params = tinkex.SamplingParams(max_tokens=16)
        for _ in range(50):
            sampler.sample(prompt, 1, params).result()
        if listener == "guards":
            return _guards(service, 100 * samples)
        began = _cpu()
        for _ in range(samples):
            sampler.sample(prompt, 1, params).result()
        return (_cpu() - began) / samples


def _listen(stack: ExitStack, listener: str) -> None:
    if listener in ("nobody", "guards"):
        return
    from tinkex import events, metrics

    if listener == "metrics":
        stack.enter_context(metrics.Metrics())
    else:
        kind = events.QueueStateChange if listener == "queue" else events.Event
        stack.enter_context(events.subscribe(lambda event: None, kind))


def _guards(service: Any, times: int) -> float:
    """Return the CPU seconds of what a sample passes for events: two requests, a call, its tokens."""
    from tinkex._core.events.bus import has_subscribers
    from tinkex._core.operation_context import current_scope

    session = service.session
    transport = session.transport
    began = _cpu()
    for _ in range(times):
        with session.scope("sample", "bench"):
            current_scope()
        for _ in range(2):
            with transport._seen(None, None) as seen:
                seen.sent_bytes = len(b"")
                seen.answered(200, 0)
        for _ in range(3):
            has_subscribers()
    return (_cpu() - began) / times


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def main() -> None:
    """Measure in turns, and print each work's cost beside that of the baseline."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--baseline", default=BASELINE)
    parser.add_argument("--repeat", type=int, default=7)
    parser.add_argument("--samples", type=int, default=1500)
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--root", default=str(ROOT), help=argparse.SUPPRESS)
    parser.add_argument("--url", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        print(work(given.root, given.work, given.url, given.samples))
        return
    found: dict[str, list[float]] = {name: [] for name in WORKS}
    with checkout(given.baseline) as before, standin() as url:
        for _ in range(given.repeat):
            for name, listener in WORKS.items():
                root = before if listener is None else ROOT
                found[name].append(reading(root, listener or "nobody", url, given.samples))
    least = {name: min(readings) for name, readings in found.items()}
    peer = next(iter(least.values()))
    for name, seconds in least.items():
        spread = max(found[name]) / seconds
        print(
            f"{name:36} {seconds * 1e6:7.1f} µs CPU a sample, ratio {seconds / peer:.3f} "
            f"(readings up to {spread:.2f} times the least)"
        )


if __name__ == "__main__":
    main()
