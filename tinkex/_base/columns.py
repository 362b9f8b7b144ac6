"""Tables as lines of text."""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Sequence


def columns(
    rows: Sequence[Sequence[str]], right: Collection[int] = (), gap: str = "  "
) -> list[str]:
    """Return a line per row, with aligned columns.

    >>> columns([("tensor", "bytes"), ("a", "1,024")], right={1})
    ['tensor  bytes', 'a       1,024']

    Args:
        rows: The rows, each with the same number of cells.
        right: Indices of the columns that are aligned to the right.
        gap: The separator of columns.
    """
    widths = [max(map(width, column)) for column in zip(*rows, strict=True)]
    return [gap.join(_padded(row, widths, right)).rstrip() for row in rows]


def width(text: str) -> int:
    """Return the number of terminal columns of a text: East Asian wide characters take two.

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
