"""An explicit null, where a missing key has another meaning."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, Final, TypeVar

from .decode import Reader
from .errors import ParseError

T = TypeVar("T")

__all__ = ("NULL", "Null", "optional_or_null")


class Null(enum.Enum):
    """The type of `NULL`; copies and pickles of it are the same object."""

    NULL = "null"

    def __bool__(self) -> bool:
        return False

    def __repr__(self) -> str:
        return "NULL"


NULL: Final = Null.NULL


def optional_or_null(
    data: Mapping[str, Any], key: str, read: Reader[T], default: T | None = None
) -> Any:
    """Read an optional key: a missing one is the default, and null is NULL."""
    if key not in data:
        return default
    if data[key] is None:
        return NULL
    try:
        return read(data[key])
    except ParseError as error:
        raise error.inside(key) from None
