# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The base class of all models, and its HTML table."""

from __future__ import annotations

import html
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Self

import attrs

_ITEMS = 8
_CHARACTERS = 200
_PROSE = 4_000
_ROWS = 100


class Prose(str):
    """A text for a cell of a table, with its line ends, of up to four thousand characters."""

    __slots__ = ()


class Record:
    """The base class of the models.

    Comparison and repr are implemented once here instead of by attrs for each class: that halves the
    import time of the classes, and they must handle numpy arrays and arrays of thousands of numbers.
    """

    __slots__ = ()

    def to_dict(self) -> dict[str, Any]:
        """Return the object as decoded JSON."""
        raise NotImplementedError

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return all(
            _equal(mine, theirs) for mine, theirs in zip(_values(self), _values(other), strict=True)
        )

    def __hash__(self) -> int:
        return hash((type(self), _values(self)))

    def __repr__(self) -> str:
        parts = (
            f"{field.name}={shown(getattr(self, field.name))}"
            for field in _fields(self)
            if field.repr
        )
        return f"{type(self).__name__}({', '.join(parts)})"

    def _repr_html_(self) -> str:
        """Return a table for notebooks: of the objects in the record's only list, or of its fields."""
        lists = [
            value
            for value in _values(self)
            if isinstance(value, list) and value and all(isinstance(v, Record) for v in value)
        ]
        if len(lists) == 1:
            items = lists[0]
            names = [field.name for field in _fields(items[0]) if field.repr]
            columns = {name: [getattr(item, name) for item in items] for name in names}
            kept = [name for name in names if _tells(name, columns)]
            return table(kept, [[getattr(item, name) for name in kept] for item in items])
        fields = [field.name for field in _fields(self) if field.repr]
        return table(["field", "value"], [[name, getattr(self, name)] for name in fields])


def table(names: list[str], rows: list[list[Any]]) -> str:
    """Return an HTML table; all values come from a server, so all are escaped."""
    head = "".join(f"<th>{_cell(name)}</th>" for name in names)
    body = "".join(
        f"<tr>{''.join(f'<td>{_cell(value)}</td>' for value in row)}</tr>" for row in rows[:_ROWS]
    )
    more = f"<p>and {len(rows) - _ROWS} more</p>" if len(rows) > _ROWS else ""
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{more}"


def _tells(name: str, columns: Mapping[str, list[Any]]) -> bool:
    """Return whether a column has what no other column shows: ids that a path contains are left out."""
    values = columns[name]
    if all(value is None or value is False for value in values):
        return False
    return not any(
        all(
            isinstance(value, str) and isinstance(more, str) and value in more and value != more
            for value, more in zip(values, columns[other], strict=True)
        )
        for other in columns
        if other != name
    )


def _cell(value: Any) -> str:
    match value:
        case None:
            text = ""
        case Prose():
            more = f"... {len(value)} characters" if len(value) > _PROSE else ""
            return f"<pre>{html.escape(value[:_PROSE])}{more}</pre>"
        case str():
            text = value[:_CHARACTERS]
        case datetime():
            text = value.isoformat(sep=" ", timespec="seconds")
        case dict():
            pairs = (
                f"{key}: {item if isinstance(item, str) else shown(item)}"
                for key, item in value.items()
            )
            text = ", ".join(pairs)[:_CHARACTERS]
        case _:
            text = shown(value)
    return html.escape(text)


def _fields(record: Any) -> tuple[attrs.Attribute[Any], ...]:
    found: tuple[attrs.Attribute[Any], ...] = attrs.fields(type(record))
    return found


def _values(record: Record) -> tuple[Any, ...]:
    return tuple(getattr(record, field.name) for field in _fields(record))


def _equal(mine: Any, theirs: Any) -> bool:
    """Compare as `==` does, but a numpy array by its values, with lists too."""
    if hasattr(mine, "tolist") or hasattr(theirs, "tolist"):
        return bool(_listed(mine) == _listed(theirs))
    return bool(mine == theirs)


def _listed(value: Any) -> Any:
    return value.tolist() if hasattr(value, "tolist") else value


def shown(value: Any) -> str:
    """Return the repr of a value, shortened."""
    match value:
        case str() if len(value) > _CHARACTERS:
            return f"{value[:_CHARACTERS]!r}... {len(value)} characters"
        case list():
            items = [shown(item) for item in value[:_ITEMS]]
            more = [f"... {len(value)} items"] if len(value) > _ITEMS else []
            return f"[{', '.join(items + more)}]"
        case dict():
            pairs = (f"{key!r}: {shown(item)}" for key, item in value.items())
            return f"{{{', '.join(pairs)}}}"
    if hasattr(value, "dtype") and hasattr(value, "shape"):
        return f"<{value.dtype} array of shape {value.shape}>"
    return repr(value)
