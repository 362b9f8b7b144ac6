"""The map of the project leads to files that exist."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
PATHS = sorted(set(re.findall(r"`([\w./]+(?:\.py|\.yaml|\.toml|\.md|/))(?:`|::)", PAGE)))


@pytest.mark.parametrize("path", PATHS)
def test_each_path_of_the_page_exists(path: str) -> None:
    """A path is one of the repository, or of the package."""
    assert (ROOT / path).exists() or (ROOT / "tinkex" / path).exists()


def test_each_room_is_on_the_page() -> None:
    """No folder of the package is missing from the table of rooms."""
    rooms = [
        entry.name for entry in (ROOT / "tinkex").iterdir() if (entry / "__init__.py").exists()
    ]
    assert [room for room in rooms if f"`{room}/`" not in PAGE] == []
