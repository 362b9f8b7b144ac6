# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Requests, and the JSON in them."""

from __future__ import annotations

import datetime
import sys
from array import array
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

import attrs

__all__ = ("Request", "date_time_text", "dumps", "loads", "segment")


@attrs.frozen(kw_only=True, eq=False)
class Request:
    """One call of an operation, before it is sent.

    Attributes:
        operation: The operation's id in the API description.
        method: The HTTP method, in upper case.
        path: The path below the base URL, its parameters quoted.
        params: The query parameters that are set; a list is a key that is repeated.
        headers: The headers that belong to this operation; no authentication.
        body: What becomes the JSON body, or None.
        content: The bytes of a binary body, or None.
        content_type: The media type of the body, or None without one.
        secured: Whether the operation takes an API key.
    """

    operation: str
    method: str
    path: str
    params: Mapping[str, str | int | float | bool | list[str]] = attrs.field(factory=dict)
    headers: dict[str, str] = attrs.field(factory=dict, repr=False)
    body: Any = attrs.field(default=None, repr=False)
    content: bytes | None = attrs.field(default=None, repr=False)
    content_type: str | None = None
    secured: bool = True

    def encode(self) -> bytes | None:
        """Return the bytes of the body, or None without one."""
        if self.content is not None or self.body is None:
            return self.content
        return dumps(self.body)


def dumps(value: Any) -> bytes:
    """Encode JSON; numpy arrays are written from memory, those of `array` as lists.

    NaN and infinity become null. Arrays of foreign byte order raise a TypeError.
    """
    import orjson

    # With the option, orjson would load numpy to tell whether an object is one of its arrays.
    option = orjson.OPT_SERIALIZE_NUMPY if "numpy" in sys.modules else 0
    return orjson.dumps(value, default=_plain, option=option)


def loads(content: bytes | bytearray | memoryview | str) -> Any:
    """Decode JSON; raises a ValueError for anything else."""
    import orjson

    return orjson.loads(content)


def _plain(value: Any) -> Any:
    """Convert what orjson cannot write (arrays of another layout or dtype, scalars)."""
    if isinstance(value, array):
        # Several times as fast, if it is there.
        numpy = sys.modules.get("numpy")
        return value.tolist() if numpy is None else numpy.frombuffer(value, value.typecode)
    if not hasattr(value, "dtype"):
        raise TypeError(f"{type(value).__name__} cannot be written as JSON")
    if value.ndim == 0:
        return value.item()
    return value.tolist() if value.flags.c_contiguous else value.copy(order="C")


def segment(value: str | int) -> str:
    """Quote a path parameter as one segment of the path.

    Colons stay, as the paths of the API hold them. Values that would change the path's shape
    (empty, "." and "..") raise a ValueError.
    """
    text = str(value)
    if text in {"", ".", ".."}:
        raise ValueError(f"{text!r} cannot be a path parameter")
    return quote(text, safe=":")


def date_time_text(value: datetime.datetime) -> str:
    """Write a date-time as ISO 8601; without a time zone it has no meaning to the server."""
    if value.tzinfo is None:
        raise ValueError(f"{value!r} has no time zone")
    return value.isoformat()
