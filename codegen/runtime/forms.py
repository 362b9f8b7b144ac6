"""Encode forms: application/x-www-form-urlencoded, and multipart/form-data with files."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import attrs

from .query import query_items, query_text
from .types import dumps

__all__ = ("File", "Multipart", "multipart", "urlencoded")


@attrs.frozen
class File:
    """A file to send.

    Attributes:
        content: Its bytes.
        name: Its name; many servers read the extension.
        media_type: Its media type.
    """

    content: bytes = attrs.field(repr=False)
    name: str = "file"
    media_type: str = "application/octet-stream"


@attrs.frozen
class Multipart:
    """An encoded form, and its media type with the boundary."""

    content: bytes = attrs.field(repr=False)
    content_type: str


def urlencoded(data: Mapping[str, Any], styles: Mapping[str, tuple[str, bool]]) -> bytes:
    """Return the bytes of a form.

    Args:
        data: The fields; those that are None are left out.
        styles: The style of a field and whether it explodes, where that is not the usual one; the
            style "json" encodes the field as JSON.
    """
    pairs: list[tuple[str, str]] = []
    for name, value in data.items():
        style, explode = styles.get(name, ("form", True))
        if value is None:
            continue
        if style == "json":
            pairs.append((name, dumps(value).decode()))
            continue
        for key, found in query_items(name, value, style=style, explode=explode).items():
            pairs += [(key, text) for text in (found if isinstance(found, list) else [found])]
    return urlencode(pairs).encode()


def multipart(data: Mapping[str, Any], media_types: Mapping[str, str]) -> Multipart:
    """Return a form with files; arrays repeat their field, and objects become JSON.

    Args:
        data: The fields; those that are None are left out.
        media_types: The media types of fields, where they are described.
    """
    boundary = secrets.token_hex(16)
    parts = []
    for name, value in data.items():
        for item in value if isinstance(value, list | tuple) else [value]:
            if item is not None:
                head, content = _part(name, item, media_types.get(name))
                parts.append(
                    b"--" + boundary.encode() + b"\r\n" + head.encode() + b"\r\n\r\n" + content
                )
    content = b"\r\n".join([*parts, b"--" + boundary.encode() + b"--\r\n"])
    return Multipart(content, f"multipart/form-data; boundary={boundary}")


def _part(name: str, value: Any, media_type: str | None) -> tuple[str, bytes]:
    head = f'Content-Disposition: form-data; name="{_quoted(name)}"'
    if isinstance(value, File):
        head += f'; filename="{_quoted(value.name)}"'
        media_type, content = value.media_type, value.content
    elif isinstance(value, Mapping):
        media_type, content = media_type or "application/json", dumps(value)
    else:
        content = query_text(name, value).encode()
    return head + (f"\r\nContent-Type: {media_type}" if media_type else ""), content


def _quoted(name: str) -> str:
    """Escape characters that would end a quoted name, as browsers do."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
