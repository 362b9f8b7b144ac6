"""Forms with files (multipart/form-data, RFC 7578), streamed rather than gathered in memory."""

from __future__ import annotations

import io
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, TypeAlias

from attrs import frozen

from tinkex.errors import ValidationError

Content: TypeAlias = bytes | str | os.PathLike[str] | IO[bytes]
FileSpec: TypeAlias = Content | tuple[str | None, Content] | tuple[str | None, Content, str]

_PIECE = 64 * 1024
_TYPE = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(; ?[A-Za-z0-9._-]+=[A-Za-z0-9._-]+)*"
)


@frozen
class _Part:
    head: bytes
    content: bytes | Path | IO[bytes]
    size: int


@frozen
class Form:
    """Hold an encoded form; iterating over it yields its bytes.

    >>> form = encode({"note": "hello"}, {"file": Path("data.bin")})
    >>> httpx.post(url, content=form, headers=form.headers)

    Files that are given by a path can be sent again; a file object is read from where it stands.

    Attributes:
        boundary: What stands between the parts.
        size: Bytes in all.
    """

    boundary: str
    size: int
    _parts: tuple[_Part, ...]

    @property
    def content_type(self) -> str:
        """Return the Content-Type that the form is sent with."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers that the form is sent with."""
        return {"Content-Type": self.content_type, "Content-Length": str(self.size)}

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            yield part.head
            yield from _pieces(part)
            yield b"\r\n"
        yield _end(self.boundary)


def encode(
    fields: Mapping[str, Any] | None = None,
    files: Mapping[str, FileSpec] | Iterable[tuple[str, FileSpec]] | None = None,
) -> Form:
    """Encode a form: its fields, and behind them its files.

    >>> encode({"metadata": {"source": "tinkex"}}, {"file": b"content"}).content_type
    'multipart/form-data; boundary=...'

    Args:
        fields: Values by name. Nested ones are written in brackets: ``metadata[source]``, ``tags[]``.
        files: Files by name: a path (`os.PathLike`), bytes, text, an open binary file, or a tuple of
            file name, one of these, and perhaps a media type. Text is content, never a path.

    Raises:
        ValidationError: A file is not there or of another kind, or a media type is none.
    """
    # As many random bits as a UUID: no content is searched for it.
    boundary = secrets.token_hex(16)
    parts = [
        _part(boundary, name, value.encode(), None, None) for name, value in flatten(fields or {})
    ]
    named = files.items() if isinstance(files, Mapping) else files or ()
    parts += [_file(boundary, name, spec) for name, spec in named]
    size = sum(len(part.head) + part.size + 2 for part in parts) + len(_end(boundary))
    return Form(boundary, size, tuple(parts))


def flatten(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a form's fields as names in bracket notation with their texts.

    >>> flatten({"a": {"b": 1}, "c": [True, None]})
    [('a[b]', '1'), ('c[]', 'true'), ('c[]', '')]
    """
    return [pair for name, value in fields.items() for pair in _flat(str(name), value)]


def _flat(name: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _flat(f"{name}[{key}]", inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _flat(f"{name}[]", inner)
    elif isinstance(value, bool):
        yield name, "true" if value else "false"
    else:
        yield name, "" if value is None else str(value)


def _file(boundary: str, name: str, spec: FileSpec) -> _Part:
    filename, kind = None, "application/octet-stream"
    content: Any = spec
    if isinstance(spec, tuple):
        if not 2 <= len(spec) <= 3:
            raise ValidationError(
                "a tuple is (file name, content) or (file name, content, media type)",
                path=f"files[{name}]",
            )
        filename, content = spec[:2]
        kind = spec[2] if len(spec) == 3 else kind
        if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
            raise ValidationError(f"{kind!r} is no media type", path=f"files[{name}]")
    if isinstance(content, str):
        content = content.encode()
    if isinstance(content, os.PathLike):
        content = Path(content)
        if not content.is_file():
            raise ValidationError(f"{content} is no file", path=f"files[{name}]")
        filename = content.name if filename is None else filename
    # A part without a file name is a field to most servers.
    return _part(boundary, name, content, name if filename is None else filename, kind)


def _part(boundary: str, name: str, content: Any, filename: str | None, kind: str | None) -> _Part:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"'
    if filename is not None:
        head += f'; filename="{_quoted(filename)}"'
    if kind is not None:
        head += f"\r\nContent-Type: {kind}"
    return _Part(f"{head}\r\n\r\n".encode(), content, _size(name, content))


def _quoted(name: str) -> str:
    """Escape what would end a quoted name, as browsers do (WHATWG HTML, multipart/form-data)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _size(name: str, content: Any) -> int:
    if isinstance(content, bytes):
        return len(content)
    if isinstance(content, Path):
        return content.stat().st_size
    try:
        here = content.tell()
        end = content.seek(0, io.SEEK_END)
        content.seek(here)
    except (AttributeError, OSError, TypeError) as error:
        raise ValidationError(
            "must be a path, bytes, text, or a binary file that can be sought",
            path=f"files[{name}]",
        ) from error
    return int(end - here)


def _pieces(part: _Part) -> Iterator[bytes]:
    if isinstance(part.content, bytes):
        yield part.content
        return
    if isinstance(part.content, Path):
        with part.content.open("rb") as file:
            yield from _read(file, part.size)
        return
    yield from _read(part.content, part.size)


def _read(file: IO[bytes], size: int) -> Iterator[bytes]:
    """Yield as many bytes as were announced, whatever happens to the file meanwhile."""
    while size:
        piece = file.read(min(_PIECE, size))
        if not piece:
            raise ValidationError("a file became shorter while it was sent; send it again")
        size -= len(piece)
        yield piece


def _end(boundary: str) -> bytes:
    return f"--{boundary}--\r\n".encode()
