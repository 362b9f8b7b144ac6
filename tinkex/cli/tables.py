"""Tables: aligned columns on a terminal, tab-separated cells in a pipe."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from tinkex._base.columns import columns, width
from tinkex.cli.text import Styled, cell, is_terminal, styled, wrapped

# A cell is not shortened to fewer columns than this.
_SHORTEST = 8
# The indentation of a value on a line of its own.
_OWN_LINE = 2


def table(
    headers: Sequence[str],
    rows: Sequence[Sequence[Any]],
    *,
    optional: Sequence[str] = (),
    elastic: str | None = None,
) -> Iterator[str]:
    """Yield the lines of a table.

    In a pipe cells are tab-separated. On a terminal columns are aligned. If they are wider than the
    terminal, optional columns are left out and the elastic one is shortened; if that is not enough,
    each row becomes a block with a line per field.

    Args:
        headers: The names of the columns.
        rows: The cells, by column.
        optional: Columns to leave out on a narrow terminal, the first one first.
        elastic: The column whose cells may be shortened.
    """
    cells = [[cell(value) for value in row] for row in rows]
    if not is_terminal(sys.stdout):
        yield from ("\t".join(row) for row in [list(headers), *cells])
        return
    if optional or elastic:
        headers, cells = _narrowed(list(headers), cells, optional, elastic)
    lines = columns([headers, *cells])
    if max(map(width, lines)) <= _columns():
        yield Styled(styled(lines[0], bold=True))
        yield from lines[1:]
        return
    for number, row in enumerate(cells):
        if number:
            yield ""
        yield from facts(list(zip(headers, row, strict=True)))


def _narrowed(
    headers: list[str], cells: list[list[str]], optional: Sequence[str], elastic: str | None
) -> tuple[list[str], list[list[str]]]:
    """Return a table that fits the terminal, if leaving out and shortening can achieve that."""

    def excess() -> int:
        return max(map(width, columns([headers, *cells]))) - _columns()

    for name in optional:
        if excess() <= 0:
            break
        index = headers.index(name)
        headers, *cells = [row[:index] + row[index + 1 :] for row in [headers, *cells]]
    too_wide = excess()
    if elastic is not None and too_wide > 0:
        index = headers.index(elastic)
        most = max(width(row[index]) for row in cells) - too_wide
        if most >= _SHORTEST:
            cells = [
                [*row[:index], _shortened(row[index], most), *row[index + 1 :]] for row in cells
            ]
    return headers, cells


def _shortened(text: str, most: int) -> str:
    """Return a text without its middle, of at most that many columns.

    >>> _shortened("Qwen/Qwen3-8B", 9)
    'Qwen…3-8B'
    """
    while width(text) > most:
        middle = len(text) // 2
        head, tail = text[:middle].removesuffix("…"), text[middle:].removeprefix("…")
        text = f"{head[:-1]}…{tail}" if width(head) >= width(tail) else f"{head}…{tail[1:]}"
    return text


def facts(
    pairs: Sequence[tuple[str, Any]], colors: Mapping[str, str] | None = None
) -> Iterator[str]:
    """Yield a line "name: value" per pair.

    On a terminal values are aligned, and wrapped between words; one that is too long for its place,
    such as a path, has a line of its own, so that it can be copied.

    Args:
        pairs: The names with their values.
        colors: The colour of a value on a terminal, by name.
    """
    if not is_terminal(sys.stdout):
        yield from (f"{name}: {cell(value)}" for name, value in pairs)
        return
    aligned = 2 + max((width(name) for name, _ in pairs), default=0)
    for name, value in pairs:
        text = cell(value)
        longest = max(map(width, text.split()), default=0)
        indent = aligned if aligned + longest <= _columns() else _OWN_LINE
        lines = wrapped(text, indent)
        if indent == _OWN_LINE:
            lines.insert(0, "")
        for number, line in enumerate(lines):
            head = "" if number else f"{name}:"
            blanks = " " * ((aligned if number == 0 else indent) - width(head))
            shown = styled(line, fg=(colors or {}).get(name)) if line else ""
            label = styled(head, fg="cyan") if head else ""
            yield Styled((label + blanks + shown).rstrip())


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns
