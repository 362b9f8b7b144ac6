"""Programs that were written for the official package, with the import changed and nothing else."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from support.nano import nano_url

PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))


def run(code: str, *, url: str) -> subprocess.CompletedProcess[str]:
    kept = {name: text for name, text in os.environ.items() if not name.startswith("TINKER_")}
    return subprocess.run(
        [sys.executable, "-W", "ignore::FutureWarning", "-c", code],
        env={**kept, "TINKER_BASE_URL": url, "TINKER_API_KEY": "tml-local"},
        capture_output=True,
        text=True,
        timeout=120,
    )


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_runs_with_the_import_changed(program: Path) -> None:
    """`import tinkex.tinker as tinker`, and everything else as it was."""
    text = program.read_text(encoding="utf-8")
    changed = text.replace("import tinker\n", "import tinkex.tinker as tinker\n")
    done = run(changed.replace("from tinker", "from tinkex.tinker"), url=nano_url())
    assert done.stdout == "done\n", done.stderr


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda path: path.stem)
def test_a_program_runs_unchanged_after_install(program: Path) -> None:
    """What says `import tinker` itself gets tinkex.tinker."""
    text = program.read_text(encoding="utf-8")
    start = "import tinkex.tinker\ntinkex.tinker.install()\n"
    done = run(start + text, url=nano_url())
    assert done.stdout == "done\n", done.stderr
