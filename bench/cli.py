"""Measure how long `tinkex --help` takes beside a bare program of the same library.

    python bench/cli.py [--runs 20] [--markdown]

The bare program is a click group with one command. Both are started in turn by the same interpreter, each
time in a fresh process; so is the official `tinker --help` where `.venv-bench/` (made by client.py) has
it. Ratios over the bare program: 1.5 is the most that tinkex should need.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OFFICIAL = ROOT / ".venv-bench" / "tinker" / "bin" / "tinker"
BARE = '''import click


@click.group()
def bare():
    """Do nothing."""


@bare.command()
@click.option("--count", default=1, show_default=True, help="How often.")
def one(count):
    """Do one thing."""


bare()
'''


def once(command: list[str]) -> tuple[float, float]:
    """Return the wall and CPU seconds of one run."""
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def measured(programs: dict[str, list[str]], runs: int) -> dict[str, list[tuple[float, float]]]:
    """Run all in turn, after one run each that fills the caches of files."""
    readings: dict[str, list[tuple[float, float]]] = {name: [] for name in programs}
    for number in range(runs + 1):
        for name, command in programs.items():
            reading = once(command)
            if number:
                readings[name].append(reading)
    return readings


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=20)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    script = Path(sys.executable).parent / "tinkex"
    with tempfile.TemporaryDirectory() as folder:
        bare = Path(folder) / "bare.py"
        bare.write_text(BARE)
        programs = {
            "bare click": [sys.executable, str(bare), "--help"],
            "tinkex": [sys.executable, str(script), "--help"],
        }
        if OFFICIAL.exists():
            programs["tinker (official)"] = [str(OFFICIAL), "--help"]
        readings = measured(programs, options.runs)
    walls = {name: [wall for wall, _ in found] for name, found in readings.items()}
    cpus = {name: [cpu for _, cpu in found] for name, found in readings.items()}
    least = {name: (min(walls[name]), min(cpus[name])) for name in readings}
    if options.markdown:
        print(
            "| `--help` | wall, least | wall, median | CPU, least | wall over bare | CPU over bare |"
        )
        print("|---|---|---|---|---|---|")
    row = "| {} | {:.0f} ms | {:.0f} ms | {:.0f} ms | {:.2f} | {:.2f} |" if options.markdown else (
        "{:<18} wall {:4.0f} ms (median {:4.0f})  CPU {:4.0f} ms  over bare {:5.2f} (CPU {:5.2f})"
    )  # fmt: skip
    for name, (wall, cpu) in least.items():
        median = statistics.median(walls[name])
        ratios = wall / least["bare click"][0], cpu / least["bare click"][1]
        print(row.format(name, wall * 1e3, median * 1e3, cpu * 1e3, *ratios))
    if options.markdown:
        print(f"\n{options.runs} runs of each, in turn, in fresh processes; at most 1.5 over bare.")
    if "tinker (official)" not in readings:
        print("\nThe official client is not in `.venv-bench/`; `bench/client.py` puts it there.")


if __name__ == "__main__":
    main()
