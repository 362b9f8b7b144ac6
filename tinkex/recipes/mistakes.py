"""Mistakes in data: each with its place, equal ones grouped."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from attrs import frozen

from tinkex.errors import ValidationError

# A file that is wrong throughout has a few mistakes, each in every line.
_SHOWN = 10
_RANGES = 5


class WrongFieldError(Exception):
    """The place of a mistake within a line, and what is wrong there."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(f"{field}: {message}" if field else message)


@frozen
class Mistake:
    """A mistake and its line.

    Attributes:
        line: Number of the line (or row, or item), from 1.
        message: The field, and what is wrong there.
    """

    line: int
    message: str


def ranges(numbers: Iterable[int], unit: str = "line") -> str:
    """Return line numbers as people write them.

    >>> ranges([1, 2, 3, 7]), ranges([4], "row")
    ('lines 1 to 3 and 7', 'row 4')
    """
    found: list[list[int]] = []
    for number in sorted(set(numbers)):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    parts: list[tuple[str, int]] = []
    for first, last in found:
        if last - first < 2:
            parts += [(str(number), 1) for number in range(first, last + 1)]
        else:
            parts.append((f"{first} to {last}", last - first + 1))
    plural = "s" if len(found) > 1 or found[0][0] != found[0][1] else ""
    if len(parts) > _RANGES:
        more = sum(count for _, count in parts[_RANGES:])
        parts = [*parts[:_RANGES], (f"{more:,} more", more)]
    *head, tail = [text for text, _ in parts]
    joined = f"{', '.join(head)} and {tail}" if head else tail
    return f"{unit}{plural} {joined}"


def place(name: str, lines: Sequence[int], unit: str) -> str:
    """Return the head of a message about some lines of a file.

    >>> place("a.jsonl", [3], "line"), place("a.jsonl", [1, 2], "line")
    ('a.jsonl:3', 'a.jsonl: lines 1 and 2')
    """
    if unit == "line" and len(lines) == 1:
        return f"{name}:{lines[0]}" if name else f"line {lines[0]}"
    said = ranges(lines, unit)
    return f"{name}: {said}" if name else said


def error_of(mistakes: Sequence[Mistake], name: str, unit: str) -> ValidationError:
    """Return one error that names all mistakes; those that differ in their line only, together."""
    groups: dict[str, list[Mistake]] = {}
    for one in mistakes:
        # Where in the list of messages it stands is no difference.
        groups.setdefault(re.sub(r"\[\d+\]", "[]", one.message), []).append(one)
    said = [
        f"{place(name, sorted({one.line for one in group}), unit)}: {group[0].message}"
        for group in list(groups.values())[:_SHOWN]
    ]
    if len(groups) > _SHOWN:
        rest = {one.line for group in list(groups.values())[_SHOWN:] for one in group}
        said.append(f"... and {len(rest):,} more {unit}s with other mistakes")
    return ValidationError("\n".join(said))
