"""Break the package in known ways, one at a time, and list what no test notices: `make mutants`.

python tools/mutants.py            all of tools/mutants.toml
python tools/mutants.py idle step  those with such words in their names

It works in a copy: this folder stays as it is. Each mutant names the tests that have to fail; the same tests pass
on the unbroken copy first, or nothing would be shown by their failure.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
LIST = Path(__file__).with_suffix(".toml")
SECONDS = 300


def chosen(words: list[str]) -> list[dict[str, Any]]:
    """Return the mutants with any of the words in their names; without words, all."""
    every = tomllib.loads(LIST.read_text(encoding="utf-8"))["mutant"]
    return [one for one in every if not words or any(word in one["name"] for word in words)]


def broken(text: str, mutant: dict[str, Any]) -> str:
    """Return a file's text with the mutant in it.

    Raises:
        ValueError: What it replaces does not stand there once.
    """
    if text.count(mutant["old"]) != 1:
        raise ValueError(f"{mutant['file']} has it {text.count(mutant['old'])} times")
    return text.replace(mutant["old"], mutant["new"])


def complaint(copy: Path, tests: list[str], seconds: float) -> str:
    """Run tests of the copy; return the end of what a failed run wrote, nothing for one that passed."""
    # In front of the installed package, which is the unbroken one.
    paths = os.pathsep.join(map(str, (copy, copy / "generated")))
    env = {**os.environ, "PYTHONPATH": paths, "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-p", "no:cacheprovider", *tests]
    try:
        done = subprocess.run(
            command, check=False, cwd=copy, env=env, capture_output=True, text=True, timeout=seconds
        )
    except subprocess.TimeoutExpired:
        return f"not done after {seconds:g} s"
    if done.returncode not in (0, 1):
        # An error of the run, such as a file of tests that is gone, notices nothing.
        raise RuntimeError(done.stdout[-2000:] + done.stderr[-2000:])
    return done.stdout[-2000:] if done.returncode else ""


def main() -> int:
    """Try each mutant; return 1 if one was not noticed or cannot be tried."""
    mutants = chosen(sys.argv[1:])
    print(f"{len(mutants)} mutants", flush=True)
    unnoticed = []
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        copy = Path(folder) / "tinkex"
        left_out = shutil.ignore_patterns(".?*", "__pycache__", "build", "dist", "tmp", "*-output")
        shutil.copytree(ROOT, copy, ignore=left_out)
        tests = sorted({test for mutant in mutants for test in mutant["tests"]})
        if failed := complaint(copy, tests, SECONDS * len(tests)):
            print(f"the tests fail without a mutant: mend them first\n{failed}")
            return 1
        for mutant in mutants:
            file = copy / mutant["file"]
            sound = file.read_text(encoding="utf-8")
            began = time.monotonic()
            try:
                file.write_text(broken(sound, mutant), encoding="utf-8")
                noticed = bool(complaint(copy, mutant["tests"], SECONDS))
                result = "noticed" if noticed else "NOT NOTICED"
            except ValueError as error:
                noticed, result = False, f"NOT TRIED: {error}"
            file.write_text(sound, encoding="utf-8")
            if not noticed:
                unnoticed.append(mutant["name"])
            print(f"{time.monotonic() - began:5.1f} s  {result:<11}  {mutant['name']}", flush=True)
    print(f"{len(mutants) - len(unnoticed)} of {len(mutants)} were noticed")
    return 1 if unnoticed else 0


if __name__ == "__main__":
    sys.exit(main())
