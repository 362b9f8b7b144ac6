"""Write the table of docs/from-tinker.md: the names of the official package that differ, and why.

python tools/tinker_page.py            writes the page
python tools/tinker_page.py --check    status 1 if the table is not what the surface script says
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "interop"))

from surface import table  # noqa: E402

PAGE = ROOT / "docs" / "from-tinker.md"
BEGIN = "<!-- names: made by tools/tinker_page.py -->"
END = "<!-- end of names -->"


def main() -> int:
    """Write the page, or compare it."""
    current = PAGE.read_text(encoding="utf-8")
    before, _, rest = current.partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"docs/from-tinker.md has no place for the table: {BEGIN} … {END}")
    text = f"{before}{BEGIN}\n{table()}\n{END}{after}"
    if "--check" in sys.argv:
        if text != current:
            print("docs/from-tinker.md is not what tests/interop/surface.py says: make generate")
        return int(text != current)
    PAGE.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
