"""Load adapters in peft, transformers and llama.cpp's converter: `make interop-peft`.

torch, transformers, peft and tinkex go into a virtual environment of their own, in which the tests run
that skip elsewhere: the engine beside transformers, downloaded adapters and merged models beside peft.
With LLAMA_CPP=<folder of llama.cpp's source> its converters are tried as well.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from run import VENVS, environment_in

ROOT = Path(__file__).resolve().parents[2]
# The build for CPUs where an index has one; pinned, or pip takes gigabytes for GPUs.
TORCH = "torch==2.13.0"
NEEDS = (
    "transformers>=5",
    "peft>=0.21",
    "gguf",
    "sentencepiece",
    "pytest",
    "pytest-timeout",
    "hypothesis",
)
TESTS = ("tests/engine/test_peers.py", "tests/checkpoints/test_peers.py")


def main() -> int:
    python = environment_in(VENVS / "peft", (TORCH,), NEEDS, ("--editable", f"{ROOT}[local]"))
    run = [python, "-m", "pytest", "-p", "no:cacheprovider", "-rs", *TESTS]
    return subprocess.run(run, cwd=ROOT, timeout=1800, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
