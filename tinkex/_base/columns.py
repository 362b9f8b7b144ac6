"""Tables as lines of text."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence


def columns(
    rows: Sequence[Sequence[str]], right: Collection[int] = (), gap: str = "  "
) -> list[str]:
    """Return a line for each row, with the cells of a column below each other.

    >>> columns([("tensor", "bytes"), ("a", "1,024")], right={1})
    ['tensor  bytes', 'a       1,024']

    Args:
        rows: As many cells in each.
        right: Indices of the columns that are aligned to the right.
        gap: What stands between two columns.
    """
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return [gap.join(_padded(row, widths, right)).rstrip() for row in rows]


def width(text: str) -> int:
    """Return how many columns of a terminal a text takes: East Asian wide characters take two.

    >>> width("ab"), width("\u6f22")
    (2, 2)
    """
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )


def _padded(row: Sequence[str], widths: Sequence[int], right: Collection[int]) -> list[str]:
    blanks = [" " * (most - width(cell)) for cell, most in zip(row, widths, strict=True)]
    return [
        blank + cell if index in right else cell + blank
        for index, (cell, blank) in enumerate(zip(row, blanks, strict=True))
    ]
