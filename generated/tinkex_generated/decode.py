# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Conversion of decoded JSON into models; errors name the path of the mismatch.

A reader is a function from a decoded JSON value to a Python value; it raises ParseError. The
functions here are the readers of plain values and the ways to put readers together. Numeric
arrays are checked to be arrays and otherwise handed on untouched, however long they are.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, TypeVar, overload

from .errors import ParseError
from .types import loads

T = TypeVar("T")
Reader: TypeAlias = Callable[[Any], T]

__all__ = (
    "Reader",
    "anything",
    "array",
    "boolean",
    "constant",
    "date",
    "date_time",
    "dict_of",
    "enum",
    "extras",
    "fitting",
    "int_enum",
    "integer",
    "list_of",
    "mapping",
    "null",
    "nullable",
    "number",
    "one_of",
    "only",
    "optional",
    "parse_json",
    "parse_text",
    "required",
    "string",
    "tagged",
    "undecided",
)

_ABSENT: Any = object()


def parse_json(content: bytes, read: Reader[T]) -> T:
    """Parse a JSON body; raises ParseError when it is not JSON or does not fit."""
    try:
        value = loads(content)
    except ValueError as error:
        start = bytes(content[:60]).decode("utf-8", "replace")
        raise ParseError("", f"is not JSON: {error}; it begins {start!r}") from None
    return read(value)


def parse_text(content: bytes) -> str:
    """Read a body of text; raises ParseError when it is not UTF-8."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise ParseError("", f"is not text: {error}") from None


def required(data: Mapping[str, Any], key: str, read: Reader[T]) -> T:
    """Read a key that must be there."""
    value = data.get(key, _ABSENT)
    if value is _ABSENT:
        raise ParseError(key, "is required but missing")
    try:
        return read(value)
    except ParseError as error:
        raise error.inside(key) from None


@overload
def optional(data: Mapping[str, Any], key: str, read: Reader[T]) -> T | None: ...
@overload
def optional(data: Mapping[str, Any], key: str, read: Reader[T], default: T) -> T: ...
def optional(data: Mapping[str, Any], key: str, read: Reader[Any], default: Any = None) -> Any:
    """Read a key that may be absent or null, which both mean the default."""
    value = data.get(key)
    if value is None:
        return default
    try:
        return read(value)
    except ParseError as error:
        raise error.inside(key) from None


def constant(data: Mapping[str, Any], key: str, value: T, *, required: bool) -> T:
    """Check a key that can hold one value only, such as the `type` of a tagged object."""
    found = data.get(key, _ABSENT)
    if found == value:
        return value
    if required and found is _ABSENT:
        raise ParseError(key, "is required but missing")
    if not required and (found is None or found is _ABSENT):
        return value
    raise ParseError(key, f"is {_shown(found)}, expected {value!r}")


def extras(data: Mapping[str, Any], known: frozenset[str], read: Reader[T]) -> dict[str, T]:
    """Read the keys without a field of their own."""
    return {key: required(data, key, read) for key in data if key not in known}


def mapping(value: Any) -> dict[str, Any]:
    """Read an object and leave its values as they are."""
    if isinstance(value, dict):
        return value
    if isinstance(value, Mapping):
        return dict(value)
    raise _mismatch("an object", value)


def string(value: Any) -> str:
    """Read a string."""
    if isinstance(value, str):
        return value
    raise _mismatch("a string", value)


def enum(value: Any) -> Any:
    """Read a string out of a set; members that this version does not know pass."""
    return string(value)


def int_enum(value: Any) -> Any:
    """Read an integer out of a set; members that this version does not know pass."""
    return integer(value)


def boolean(value: Any) -> bool:
    """Read true or false."""
    if value is True or value is False:
        return bool(value)
    raise _mismatch("true or false", value)


def integer(value: Any) -> int:
    """Read an integer, which JSON may also write as 3.0."""
    if type(value) is int:
        return value
    if isinstance(value, float) and value.is_integer():
        return int(value)
    raise _mismatch("an integer", value)


def number(value: Any) -> float:
    """Read a number; a JSON integer stays an int."""
    if isinstance(value, float | int) and not isinstance(value, bool):
        return value
    raise _mismatch("a number", value)


def null(value: Any) -> None:
    """Read null."""
    if value is not None:
        raise _mismatch("null", value)


def anything(value: Any) -> Any:
    """Take any value as it is."""
    return value


def array(value: Any) -> Any:
    """Take an array without looking at its items; numpy arrays pass by reference."""
    if isinstance(value, list | tuple) or hasattr(value, "__array__"):
        return value
    raise _mismatch("an array", value)


def date_time(value: Any) -> dt.datetime:
    """Read an ISO 8601 date-time; one without a time zone is taken as UTC."""
    try:
        moment = dt.datetime.fromisoformat(string(value))
    except ValueError as error:
        if isinstance(error, ParseError):
            raise
        raise ParseError("", f"is not a date-time: {_shown(value)}") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)


def date(value: Any) -> dt.date:
    """Read an ISO 8601 date."""
    try:
        return dt.date.fromisoformat(string(value))
    except ValueError as error:
        if isinstance(error, ParseError):
            raise
        raise ParseError("", f"is not a date: {_shown(value)}") from None


def only(expected: T) -> Reader[T]:
    """Return a reader of one value."""

    def read_only(value: Any) -> T:
        if value != expected or isinstance(value, bool) != isinstance(expected, bool):
            raise ParseError("", f"is {_shown(value)}, expected {expected!r}")
        return expected

    return read_only


def nullable(read: Reader[T]) -> Reader[T | None]:
    """Return a reader that accepts null."""

    def read_nullable(value: Any) -> T | None:
        return None if value is None else read(value)

    return read_nullable


def list_of(read: Reader[T]) -> Reader[list[T]]:
    """Return a reader of arrays from the reader of an item."""

    def read_list(value: Any) -> list[T]:
        values = array(value)
        items: list[T] = []
        try:
            for item in values:
                items.append(read(item))  # noqa: PERF401 - the length tells where an error is
        except ParseError as error:
            raise error.inside(f"[{len(items)}]") from None
        return items

    return read_list


def dict_of(read: Reader[T]) -> Reader[dict[str, T]]:
    """Return a reader of free maps from the reader of a value."""

    def read_dict(value: Any) -> dict[str, T]:
        data = mapping(value)
        return {key: required(data, key, read) for key in data}

    return read_dict


def tagged(
    key: str, members: Mapping[Any, Reader[T]], *untagged: tuple[tuple[str, ...], Reader[T]]
) -> Reader[T]:
    """Return a reader of a union whose members have a tag.

    `untagged` lists the members that may come without the tag, each with its required keys: an
    object without tag is the one member whose required keys it has.
    """

    def read_tagged(value: Any) -> T:
        data = mapping(value)
        tag = data.get(key)
        if tag is None:
            fits = [read for keys, read in untagged if all(name in data for name in keys)]
            if len(fits) == 1:
                return fits[0](data)
            problem = "several kinds of object" if fits else "no known kind of object"
            raise ParseError(key, f"is missing, and the other keys fit {problem}")
        read = members.get(tag) if isinstance(tag, str | int) else None
        if read is None:
            expected = " or ".join(repr(name) for name in members)
            raise ParseError(key, f"is {_shown(tag)}, expected {expected}")
        return read(data)

    return read_tagged


def fitting(
    read: Reader[T],
    *,
    keys: tuple[str, ...] = (),
    any_of: tuple[str, ...] = (),
    constants: Mapping[str, Any] | None = None,
) -> Reader[T]:
    """Return a reader, for use in `one_of`, that refuses objects of another shape.

    Args:
        read: The reader of objects that fit.
        keys: The required keys.
        any_of: Keys of which at least one is required.
        constants: The required values of these keys, if they are present.
    """

    def read_fitting(value: Any) -> T:
        data = mapping(value)
        for key in keys:
            if key not in data:
                raise ParseError("", f"lacks {key!r}")
        if any_of and not any(key in data for key in any_of):
            raise ParseError("", f"lacks all of {', '.join(map(repr, any_of))}")
        for key, expected in (constants or {}).items():
            if data.get(key, expected) != expected:
                raise ParseError("", f"has {key!r} other than {expected!r}")
        return read(data)

    return read_fitting


def undecided(read: Reader[T]) -> Reader[T]:
    """Return a reader, for use in `one_of`, after whose failure the next member is tried."""

    def read_undecided(value: Any) -> T:
        try:
            return read(value)
        except ParseError as error:
            raise ParseError("", str(error)) from None

    return read_undecided


def one_of(*readers: Reader[T]) -> Reader[T]:
    """Return a reader of a union without tag: the first member whose shape fits decides."""

    def read_one_of(value: Any) -> T:
        reasons = []
        for read in readers:
            try:
                return read(value)
            except ParseError as error:
                # A path means that the shape fits and something inside is wrong, which trying the next member
                # would hide. Lists are distinguished by their items, though.
                if error.path and not error.path.startswith("["):
                    raise
                reasons.append(str(error))
        raise ParseError("", f"fits no member of the union ({'; '.join(reasons)})")

    return read_one_of


def _mismatch(expected: str, value: Any) -> ParseError:
    return ParseError("", f"is {_shown(value)}, expected {expected}")


def _shown(value: Any) -> str:
    """Describe a JSON value without printing a long one."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case str() if len(value) > 40:
            return f"a string of {len(value)} characters"
        case str() | int() | float():
            return repr(value)
        case Mapping():
            return "an object"
        case list() | tuple():
            return "an array"
    return f"a {type(value).__name__}"
