"""The table of faults and attacks and the tests that hold them: neither without the other."""

from __future__ import annotations

import ast
import subprocess
import sys

from reliability.table import ATTACKS, AWAITED, CASES, FAULTS, TESTS, holders


def test_each_case_is_held_by_a_test() -> None:
    """No row of docs/reliability.md is a promise that nothing checks."""
    held = {case for holder in holders() for case in holder.cases}
    assert set(CASES) - held == AWAITED


def test_tests_hold_only_cases_that_there_are() -> None:
    """A mistyped id would be a link to nothing."""
    assert [h for h in holders() if not set(h.cases) <= set(CASES)] == []


def test_the_table_is_whole_and_says_something() -> None:
    """Each case once, in the order of its number, with all its fields."""
    for letter, cases in (("F", FAULTS), ("S", ATTACKS)):
        numbers = [int(case.id.removeprefix(letter)) for case in cases]
        assert numbers == sorted(set(numbers))
    assert all(case.what and case.layer and case.does for case in CASES.values())


def test_what_holds_a_case_is_a_test_that_runs() -> None:
    """A function of a module, by a name that pytest takes, and not hidden by another of that name."""
    found = list(holders())
    for path in sorted({holder.path for holder in found}):
        tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
        names = [node.name for node in tree.body if isinstance(node, ast.FunctionDef)]
        held = [holder.name for holder in found if holder.path == path]
        for name in held:
            assert name.startswith("test_"), f"{path}::{name}"
            assert names.count(name) == 1, f"{path}::{name}"
            marks = [ast.unparse(mark) for mark in _function(tree, name).decorator_list]
            assert not [mark for mark in marks if "mark.skip(" in mark or "xfail" in mark]


def _function(tree: ast.Module, name: str) -> ast.FunctionDef:
    found = [node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name]
    return found[0]


def test_the_page_is_made_from_the_table() -> None:
    """docs/reliability.md says what the table and the tests say."""
    tool = TESTS.parent / "tools" / "reliability_page.py"
    done = subprocess.run(
        [sys.executable, str(tool), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
