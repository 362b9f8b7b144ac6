"""Measure `tinkex.tinker` beside the native client of the same checkout, on one stand-in server, in turn.

    python bench/drop_in.py [--repeat 5]

The drop-in translates names and forms, which may cost a tenth of the CPU. Both run in the interpreter
that runs this, which needs the extra `tinker`.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from client import OURS, Work, measure, standin

DROP_IN = "tinkex.tinker"
MOST = 1.1


def works() -> list[Work]:
    """Return what is measured; data lie in lists, since the official package takes no other token ids."""
    return [
        Work("step, lists in", "step_lists", 15, "step", {"cpu": MOST}),
        Work("2,000 samples at once", "sample_at_once", 2000, "sample", {"cpu": MOST}),
        Work("400 samples in turn", "sample_in_turn", 400, "sample", {"cpu": MOST}),
    ]


def table(chosen: list[Work]) -> str:
    """Return the ratios as Markdown."""
    lines = [
        "| work | measured | tinkex.tinker | tinkex | ratio | target | |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for work in chosen:
        drop_in, native = (work.best(one, "cpu") for one in (DROP_IN, OURS))
        ratio = drop_in / native
        verdict = "met" if ratio <= MOST else "**missed**"
        lines.append(
            f"| {work.title} | CPU per {work.unit} | {drop_in * 1e3:.2f} ms | {native * 1e3:.2f} ms "
            f"| {ratio:.2f} | ≤ {MOST} | {verdict} |"
        )
    return "\n".join(lines)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--repeat", type=int, default=5, help="measurements of each work and client"
    )
    options = parser.parse_args()
    chosen, python = works(), Path(sys.executable)
    with standin() as url:
        for one in (DROP_IN, OURS):
            measure(python, one, Work("warm-up", "first_sample", 1, "start", {}), url)
        for work in chosen:
            work.readings[DROP_IN] = []
            for i in range(options.repeat):
                for one in (DROP_IN, OURS) if i % 2 else (OURS, DROP_IN):
                    work.readings[one].append(measure(python, one, work, url))
                print(f"{work.title}: {i + 1} of {options.repeat}", file=sys.stderr)
    print(table(chosen))


if __name__ == "__main__":
    main()
