"""Run everything in bench/ and write bench/RESULTS.md: the machine, the versions, the ratios.

make bench
"""

from __future__ import annotations

import datetime as dt
import os
import platform
import subprocess
import sys
from pathlib import Path

from client import ENGINE, python_of

HERE = Path(__file__).resolve().parent
PAGE = HERE / "RESULTS.md"
# About a quarter of an hour in all, the making of the venvs left aside.
CLIENT_SECONDS = 600
ENGINE_SECONDS = 220
TOKENIZER_SECONDS = 60
DOWNLOAD_SECONDS = 40
CLI_SECONDS = 60
ARRAYS_SECONDS = 30
DROP_IN_SECONDS = 180


def machine() -> str:
    """Describe the machine, as far as the system reports it."""
    model = platform.processor() or platform.machine()
    memory = ""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        names = [x for x in cpuinfo.read_text().splitlines() if x.startswith("model name")]
        model = names[0].partition(":")[2].strip() if names else model
        pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
        memory = f", {pages / 2**30:.0f} GiB"
    return (
        f"{model}, {os.cpu_count()} cores{memory}, {platform.system()} {platform.release()}, "
        f"Python {platform.python_version()}"
    )


def commit() -> str:
    """Return the commit that is measured, and whether the checkout differs from it."""
    try:
        name = subprocess.check_output(
            ["git", "describe", "--always", "--dirty"], cwd=HERE, text=True
        )
    except (OSError, subprocess.CalledProcessError):
        return "no git checkout"
    return name.strip()


def output_of(script: str, *options: str, seconds: int, python: str = sys.executable) -> str:
    """Return what a script prints, or why it printed nothing."""
    if not (HERE / script).exists():
        return f"`bench/{script}` is not in this checkout."
    print(f"running bench/{script} ...", file=sys.stderr)
    try:
        done = subprocess.run(
            [python, HERE / script, *options],
            stdout=subprocess.PIPE,
            stderr=None if script == "client.py" else subprocess.PIPE,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"`bench/{script}` did not end within {seconds} s."
    if done.returncode:
        lines = (done.stderr or "").strip().splitlines()
        return f"`bench/{script}` did not run:\n\n    " + "\n    ".join(lines[-4:] or ["see above"])
    return done.stdout.strip()


def engine_beside_torch() -> str:
    """Return what bench/engine.py prints in a venv with PyTorch; without it, how to get it."""
    options = ("--markdown", "--runs", "2")
    python = str(python_of(ENGINE))
    return output_of("engine.py", *options, seconds=ENGINE_SECONDS, python=python)


def main() -> int:
    """Run and write; exit with 1 if a client could not be measured."""
    client = output_of("client.py", "--repeat", "4", seconds=CLIENT_SECONDS)
    engine = engine_beside_torch()
    tokenizer = output_of("tokenizer.py", "--markdown", seconds=TOKENIZER_SECONDS)
    download = output_of("download.py", "--mib", "256", "--markdown", seconds=DOWNLOAD_SECONDS)
    arrays = output_of("json_arrays.py", "--markdown", seconds=ARRAYS_SECONDS)
    cli = output_of("cli.py", "--markdown", seconds=CLI_SECONDS)
    drop_in = output_of("drop_in.py", "--repeat", "5", seconds=DROP_IN_SECONDS)
    today = dt.datetime.now(dt.UTC).date()
    PAGE.write_text(
        f"# Results\n\nMade by `make bench` on {today} at {commit()}: do not edit.\n\n"
        f"Machine: {machine()}.\n\n## The client beside the official one\n\n{client}\n\n"
        f"## The engine beside eager PyTorch\n\n{engine}\n\n"
        f"## The tokenizer beside the bare package\n\n{tokenizer}\n\n"
        f"## Downloads beside curl\n\n{download}\n\n"
        f"## The command line beside a bare click program\n\n{cli}\n\n"
        f"## Arrays in JSON beside orjson with numpy\n\n{arrays}\n\n"
        f"## The drop-in beside the native client\n\n{drop_in}\n"
    )
    print(f"wrote {PAGE.relative_to(HERE.parent)}", file=sys.stderr)
    return 0 if "| work |" in client else 1


if __name__ == "__main__":
    sys.exit(main())
