"""The table of faults and attacks and the tests that hold them: neither without the other."""

from __future__ import annotations

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
    """F1 to F45 and S1 to S21, in order, each with all its fields."""
    assert [case.id for case in FAULTS] == [f"F{n}" for n in range(1, 46)]
    assert [case.id for case in ATTACKS] == [f"S{n}" for n in range(1, 22)]
    assert all(case.what and case.layer and case.does for case in CASES.values())


def test_what_holds_a_case_is_collected_by_pytest() -> None:
    """The table reads source; pytest must see the same tests in it."""
    found = {(holder.path, holder.name) for holder in holders()}
    files = sorted({str(TESTS / path) for path, _ in found})
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", "holds", "-p", "no:cacheprovider", *files],
        capture_output=True, text=True, check=False, cwd=TESTS.parent,
    )  # fmt: skip
    collected = {
        (line.partition("::")[0].removeprefix("tests/"), line.split("::")[-1].partition("[")[0])
        for line in done.stdout.splitlines()
        if "::" in line
    }
    assert found <= collected, done.stdout[-2000:] + done.stderr[-2000:]


def test_the_page_is_made_from_the_table() -> None:
    """docs/reliability.md says what the table and the tests say."""
    tool = TESTS.parent / "tools" / "reliability_page.py"
    done = subprocess.run(
        [sys.executable, str(tool), "--check"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout
