"""The hand-written types as JSON has them, and back."""

from __future__ import annotations

import base64
import math
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

import attrs

from tinkex.errors import ValidationError

Readers = Mapping[str, Callable[[Any], Any]]


class JsonForm:
    """What a type needs to be written as JSON and read again.

    Attributes:
        _readers: From the JSON of a field to what its constructor takes, where that differs.
    """

    __slots__ = ()
    _readers: ClassVar[Readers] = {}

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it, without the fields that are None or NaN."""
        values = {
            field.alias: getattr(self, field.alias)
            for field in attrs.fields(type(self))  # type: ignore[arg-type]
            if field.init
        }
        return {name: _plain(value) for name, value in values.items() if not _is_missing(value)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read what `to_dict` returns.

        Raises:
            ValidationError: It has another form.
        """
        if not isinstance(data, Mapping):
            raise ValidationError(f"must be a dict, not a {type(data).__name__}")
        known = {field.alias for field in attrs.fields(cls) if field.init}  # type: ignore[arg-type]
        unknown = sorted(set(data) - known)
        if unknown:
            raise ValidationError(f"is no field of {cls.__name__}", path=str(unknown[0]))
        read = {
            name: cls._readers[name](value) if name in cls._readers and value is not None else value
            for name, value in data.items()
        }
        try:
            return cls(**read)
        except TypeError as error:
            raise ValidationError(f"is no {cls.__name__}: {error}") from None


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and math.isnan(value))


def _plain(value: Any) -> Any:
    if hasattr(value, "to_dict"):
        return value.to_dict()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode("ascii")
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item) for item in value]
    return value


def listed(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the reader of a list from that of its items."""
    return lambda items: [read(item) for item in items]


def by_name(read: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the reader of a dict from that of its values."""
    return lambda items: {name: read(item) for name, item in items.items()}
