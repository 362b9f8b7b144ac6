"""Run the tests again and again in random order under load, and list what ever failed: `make flaky`.

python tools/flaky.py --rounds 2 tests/cli    fewer rounds, some tests

The order of files, and of the tests within each, is drawn from the round's seed, which is printed: a round can be
repeated with it. Beside the tests, one process per core computes for nothing, so that every wait takes longer.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FAILED = re.compile(r"^(?:FAILED|ERROR) (\S.*?)(?: - .*)?$", re.MULTILINE)


@contextmanager
def load(processes: int) -> Iterator[list[subprocess.Popen[bytes]]]:
    """Compute for nothing while the block runs, in so many processes."""
    # They end by themselves when this process does, however it ends.
    code = "import os\nparent = os.getppid()\nwhile os.getppid() == parent:\n    sum(range(10**6))"
    busy = [subprocess.Popen([sys.executable, "-c", code]) for _ in range(processes)]
    try:
        yield busy
    finally:
        for process in busy:
            process.kill()
            process.wait()


def failed_in(seed: int, workers: int, tests: list[str]) -> tuple[list[str], str]:
    """Run the tests in the order of a seed; return which failed, and pytest's last line."""
    command = [sys.executable, "-m", "pytest", "-q", "-n", str(workers), "--dist", "loadfile"]
    command += ["--no-loadscope-reorder", "--random-order", f"--random-order-seed={seed}", *tests]
    done = subprocess.run(command, check=False, cwd=ROOT, capture_output=True, text=True)
    failed = FAILED.findall(done.stdout)
    if done.returncode and not failed:
        # Such as a worker that crashed: that is no success either.
        failed = [f"pytest ended with {done.returncode}: {(done.stdout + done.stderr)[-1500:]}"]
    for name in failed:
        _, heading, report = done.stdout.partition(f" {name.rpartition('::')[2]} _")
        # As far as the next test's heading: the cause is often at the end.
        print(
            heading + re.split(r"^_{3,} \S|^={3,} ", report, flags=re.MULTILINE)[0] or name,
            flush=True,
        )
    lines = done.stdout.splitlines()
    return failed, lines[-1] if lines else done.stderr[-500:]


def main() -> int:
    """Run the rounds; return 1 if anything failed in any of them."""
    parser = argparse.ArgumentParser(description="Run the tests again and again under load.")
    parser.add_argument("--rounds", type=int, default=10)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--busy", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("tests", nargs="*")
    asked = parser.parse_args()
    failures: dict[str, list[int]] = defaultdict(list)
    with load(asked.busy):
        for seed in range(asked.seed, asked.seed + asked.rounds):
            failed, last = failed_in(seed, asked.workers, asked.tests)
            for name in failed:
                failures[name].append(seed)
            print(f"seed {seed}: {last}", flush=True)
    print(f"{asked.rounds} rounds: {len(failures) or 'no'} tests ever failed")
    for name, seeds in sorted(failures.items()):
        print(f"  {len(seeds)} of {asked.rounds}  {name}  (seeds {', '.join(map(str, seeds))})")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
