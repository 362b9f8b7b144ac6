"""Write the tables of docs/reliability.md: what tinkex does in each case, and the tests that hold it.

python tools/reliability_page.py            writes the page
python tools/reliability_page.py --check    status 1 if the page is not what table and tests say
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))

from reliability.table import ATTACKS, FAULTS, Case, Holder, holders  # noqa: E402

PAGE = ROOT / "docs" / "reliability.md"


def rows(cases: Iterable[Case], held_by: list[Holder]) -> str:
    """Return the table of some cases, each with links to its tests."""
    lines = [
        "| # | fault or attack | what tinkex does | reproduced with | tests |",
        "|---|---|---|---|---|",
    ]
    for case in cases:
        links = [
            f"[{one.name.removeprefix('test_').replace('_', ' ')}](../tests/{one.path})"
            for one in held_by
            if case.id in one.cases
        ]
        lines.append(
            f"| {case.id} | {case.what} | {case.does} | {case.layer} | {'; '.join(links)} |"
        )
    return "\n".join(lines)


def page(current: str) -> str:
    """Return the page with regenerated tables and the same text around them."""
    held_by = list(holders())
    for name, cases in (("faults", FAULTS), ("attacks", ATTACKS)):
        begin, end = (
            f"<!-- {name}: made by tools/reliability_page.py -->",
            f"<!-- end of {name} -->",
        )
        between = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
        table = f"{begin}\n{rows(cases, held_by)}\n{end}"
        if not between.search(current):
            raise SystemExit(f"docs/reliability.md has no place for the {name}: {begin} … {end}")
        current = between.sub(lambda _, table=table: table, current)
    return current


def main() -> int:
    """Write the page, or compare it."""
    current = PAGE.read_text(encoding="utf-8")
    text = page(current)
    if "--check" in sys.argv:
        if current != text:
            print("docs/reliability.md is not what its table and the tests say: run make generate")
            return 1
        return 0
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
