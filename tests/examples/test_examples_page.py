"""examples/README.md lists every example, says what its docstring says, and leads nowhere wrong."""

from __future__ import annotations

import ast
import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest
from examples.test_examples import EXAMPLES, run

PAGE = (EXAMPLES / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| \[(\w+)\]\(\1\.py\) \| (.+) \| (\d+ (?:s|min)) \|$", re.MULTILINE)
ROWS = {match[1]: match[2] for match in ROW.finditer(PAGE)}
WHOLE_TASKS = [match[1] for match in ROW.finditer(PAGE[: PAGE.index("## Sampling")])]


def listed_by_the_runner() -> dict[str, str]:
    """Return the examples that the runner finds, with what it says of each."""
    command = [sys.executable, str(EXAMPLES / "run_all.py"), "--list"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return dict(line.split(maxsplit=1) for line in done.stdout.splitlines())


def test_every_example_is_on_the_page_and_in_the_runner() -> None:
    """A program in the folder has a row and a place in the order of the runner, and nothing else has."""
    programs = {
        path.stem
        for path in EXAMPLES.glob("*.py")
        if "\ndef main()" in path.read_text(encoding="utf-8") and path.stem != "run_all"
    }
    assert programs
    assert ROWS.keys() == programs
    assert PAGE.count("\n| [") == len(programs)
    order = runpy.run_path(str(EXAMPLES / "run_all.py"))["ORDER"]
    assert list(listed_by_the_runner()) == list(order)
    assert set(order) == programs


@pytest.mark.parametrize("name", ROWS)
def test_a_row_says_what_the_docstring_says(name: str) -> None:
    """The first line of a docstring is a sentence, the same one as on the page."""
    tree = ast.parse((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))
    docstring = ast.get_docstring(tree) or ""
    assert ROWS[name] == docstring.splitlines()[0]
    assert f"python examples/{name}.py" in docstring
    assert len(ROWS[name]) <= 110


def test_every_link_of_the_page_leads_to_a_file() -> None:
    """Programs are where the page says."""
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert len(links) > 30
    for link in links:
        assert (EXAMPLES / link).is_file(), link


@pytest.mark.parametrize("name", ROWS)
def test_help_names_every_setting(name: str, tmp_path: Path) -> None:
    """The help begins with what the page says, names each option and variable, and runs nothing else."""
    path = EXAMPLES / f"{name}.py"
    done = run(name, tmp_path, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert ROWS[name] in done.stdout
    source = path.read_text(encoding="utf-8")
    settings = re.findall(r'"(TINKER_[A-Z_]+)"|add\("(--[a-z-]+)"', source)
    assert not [one for one in settings if "".join(one) not in done.stdout]
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", WHOLE_TASKS)
def test_a_whole_task_can_be_copied(name: str) -> None:
    """It is one file: it imports nothing of the folder, and of tinkex public names alone."""
    tree = ast.parse((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))
    imported = {
        name
        for node in ast.walk(tree)
        for name in (
            [one.name for one in node.names]
            if isinstance(node, ast.Import)
            else [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else []
        )
    }
    assert not imported & {path.stem for path in EXAMPLES.glob("*.py")}
    assert not [one for one in imported if one.startswith("tinkex._")]
