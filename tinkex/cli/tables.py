"""Rows laid out: columns that line up on a terminal, tab-separated where a program reads."""

import sys
import unicodedata
from collections.abc import Iterator, Sequence
from typing import Any

from tinkex.cli.text import cell, is_terminal

_GAP = "  "


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Yield the lines of a table.

    On a terminal columns line up; where they would be wider than it is, each row becomes a block
    with a line for each field, so that nothing is cut off. Elsewhere cells are tab-separated.
    """
    cells = [[cell(value) for value in row] for row in rows]
    if not is_terminal(sys.stdout):
        yield from ("\t".join(row) for row in [list(headers), *cells])
        return
    widths = [max(width(row[index]) for row in [headers, *cells]) for index in range(len(headers))]
    if sum(widths) + len(_GAP) * (len(widths) - 1) <= _columns():
        yield from (
            _GAP.join(map(_padded, row, widths)).rstrip() for row in [list(headers), *cells]
        )
        return
    for number, row in enumerate(cells):
        if number:
            yield ""
        yield from facts(list(zip(headers, row, strict=True)))


def facts(pairs: Sequence[tuple[str, Any]]) -> Iterator[str]:
    """Yield a line "name: value" for each pair, the values below each other on a terminal."""
    pad = max((width(name) for name, _ in pairs), default=0) + 1
    for name, value in pairs:
        if is_terminal(sys.stdout):
            yield f"{_padded(name + ':', pad)} {cell(value)}"
        else:
            yield f"{name}: {cell(value)}"


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


def _padded(text: str, to: int) -> str:
    return text + " " * (to - width(text))


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns
