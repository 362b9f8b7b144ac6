"""Rows laid out: columns that line up on a terminal, tab-separated where a program reads."""

import sys
from collections.abc import Iterator, Sequence
from typing import Any

from tinkex._base.columns import columns, width
from tinkex.cli.text import cell, is_terminal


def table(headers: Sequence[str], rows: Sequence[Sequence[Any]]) -> Iterator[str]:
    """Yield the lines of a table.

    On a terminal columns line up; where they would be wider than it is, each row becomes a block
    with a line for each field, so that nothing is cut off. Elsewhere cells are tab-separated.
    """
    cells = [[cell(value) for value in row] for row in rows]
    if not is_terminal(sys.stdout):
        yield from ("\t".join(row) for row in [list(headers), *cells])
        return
    lines = columns([headers, *cells])
    if max(map(width, lines)) <= _columns():
        yield from lines
        return
    for number, row in enumerate(cells):
        if number:
            yield ""
        yield from facts(list(zip(headers, row, strict=True)))


def facts(pairs: Sequence[tuple[str, Any]]) -> Iterator[str]:
    """Yield a line "name: value" for each pair, the values below each other on a terminal."""
    if is_terminal(sys.stdout):
        yield from columns([(f"{name}:", cell(value)) for name, value in pairs], gap=" ")
    else:
        yield from (f"{name}: {cell(value)}" for name, value in pairs)


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns
