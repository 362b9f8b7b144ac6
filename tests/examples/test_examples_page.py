"""examples/README.md lists every example, says what its docstring says, and leads nowhere wrong."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import pytest
from examples.test_examples import EXAMPLES
from examples.test_shared_parts import load

PAGE = (EXAMPLES / "README.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| \[(\w+)\]\(\1\.py\) \| (.+) \| (\d+ (?:s|min)) \|$", re.MULTILINE)
ROWS = {match[1]: match[2] for match in ROW.finditer(PAGE)}


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
    assert PAGE.count("\n| ") == len(programs) + PAGE.count("| example |")
    assert list(listed_by_the_runner()) == list(load("run_all").ORDER)
    assert set(load("run_all").ORDER) == programs


@pytest.mark.parametrize("name", ROWS)
def test_a_row_says_what_the_docstring_says(name: str) -> None:
    """The first line of a docstring is a sentence, the same one as on the page."""
    tree = ast.parse((EXAMPLES / f"{name}.py").read_text(encoding="utf-8"))
    docstring = ast.get_docstring(tree) or ""
    assert ROWS[name] == docstring.splitlines()[0]
    assert f"python examples/{name}.py" in docstring
    assert len(ROWS[name]) <= 110


def test_every_link_of_the_page_leads_to_a_file() -> None:
    """Programs and pictures are where the page says."""
    links = re.findall(r"\]\(([^)]+)\)", PAGE)
    assert len(links) > 30
    for link in links:
        assert (EXAMPLES / link).is_file(), link


def settings_of(path: Path) -> set[str]:
    """Return the TINKER_ variables that a program reads."""
    return set(re.findall(r'"(TINKER_[A-Z_]+|DEMO_[A-Z_]+)"', path.read_text(encoding="utf-8")))


@pytest.mark.parametrize("name", ROWS)
def test_a_docstring_names_every_setting(name: str) -> None:
    """Whoever starts from an example learns what it can be told, and of nothing that is not there."""
    path = EXAMPLES / f"{name}.py"
    docstring = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    missing = {one for one in settings_of(path) if one not in docstring}
    assert not missing
