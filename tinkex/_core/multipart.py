"""Forms with files (multipart/form-data, RFC 7578), streamed from disk."""

from __future__ import annotations

import io
import os
import re
import secrets
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, TypeAlias

from attrs import frozen

from tinkex._base.headers import is_header_name
from tinkex.errors import ValidationError

__all__ = ["Form", "encode", "flatten"]

Content: TypeAlias = bytes | str | os.PathLike[str] | IO[bytes]
Headers: TypeAlias = Mapping[str, str] | Iterable[tuple[str, str]]
FileSpec: TypeAlias = (
    Content
    | tuple[str | None, Content]
    | tuple[str | None, Content, str | None]
    | tuple[str | None, Content, str | None, Headers]
)
Files: TypeAlias = Mapping[str, FileSpec] | Sequence[tuple[str, FileSpec]]

_PIECE = 64 * 1024
_TYPE = re.compile(
    r"[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+(; ?[A-Za-z0-9._-]+=[A-Za-z0-9._-]+)*"
)


_OCTETS = "application/octet-stream"
_BAD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@frozen
class _Part:
    head: bytes
    content: bytes | Path | IO[bytes]
    size: int
    start: int
    name: str


@frozen
class Form:
    """An encoded form; iterating over it yields its bytes.

    >>> form = encode({"note": "hello"}, {"file": Path("a.bin")})
    >>> body = b"".join(form)

    It can be iterated repeatedly: a file object is read from its position at encoding time.

    Attributes:
        boundary: The separator of the parts.
        size: Total size in bytes.
    """

    boundary: str
    size: int
    _parts: tuple[_Part, ...]

    @property
    def content_type(self) -> str:
        """Return the form's Content-Type."""
        return f"multipart/form-data; boundary={self.boundary}"

    @property
    def headers(self) -> dict[str, str]:
        """Return the headers to send with the form."""
        return {"Content-Type": self.content_type, "Content-Length": str(self.size)}

    def __iter__(self) -> Iterator[bytes]:
        for part in self._parts:
            yield part.head
            yield from _pieces(part)
            yield b"\r\n"
        yield _end(self.boundary)


def encode(
    fields: Mapping[str, Any] | None = None,
    files: Files | None = None,
) -> Form:
    """Encode a form: its fields, then its files.

    >>> encode({"metadata": {"source": "tinkex"}}, {"file": b"content"}).content_type
    'multipart/form-data; boundary=...'

    Args:
        fields: Values by name. Nested names use brackets: ``metadata[source]``, ``tags[]``.
        files: Files by name, as a mapping or as pairs: a path (`os.PathLike`), bytes, text, an open
            binary file, or a tuple of file name, one of these, and optionally a media type and headers.
            Text is content, never a path: it may come from an untrusted source.

    Raises:
        ValidationError: A file is missing or of the wrong type, or a media type is invalid.
    """
    named = _pairs(files)
    # Random enough that the content need not be searched for it.
    boundary = secrets.token_hex(16)
    parts = [
        _part(boundary, name, value.encode(), None, {}) for name, value in flatten(fields or {})
    ]
    parts += [_file(boundary, name, spec) for name, spec in named]
    size = sum(len(part.head) + part.size + 2 for part in parts) + len(_end(boundary))
    return Form(boundary, size, tuple(parts))


def flatten(fields: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return a form's fields in bracket notation, with their values as text.

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


def _pairs(files: Files | None) -> list[tuple[str, FileSpec]]:
    if files is None:
        return []
    if isinstance(files, Mapping):
        return list(files.items())
    if isinstance(files, Sequence) and all(
        isinstance(pair, tuple) and len(pair) == 2 for pair in files
    ):
        return list(files)
    raise ValidationError("must be a mapping of names to files, or pairs of both", path="files")


def _file(boundary: str, name: str, spec: FileSpec) -> _Part:
    place = f"files[{name}]"
    filename, headers = None, {"Content-Type": _OCTETS}
    content: Any = spec
    if isinstance(spec, tuple):
        if not 2 <= len(spec) <= 4:
            raise ValidationError(
                "a tuple is (file name, content[, media type[, headers]])", path=place
            )
        filename, content = spec[:2]
        headers = _headers(place, *spec[2:])
    if isinstance(content, str):
        content = content.encode()
    if isinstance(content, os.PathLike):
        content = Path(content)
        if not content.is_file():
            raise ValidationError(f"{content} is not a file", path=place)
        filename = content.name if filename is None else filename
    # Most servers take a part without a file name for a field.
    return _part(boundary, name, content, name if filename is None else filename, headers)


def _headers(place: str, kind: Any = None, more: Headers = ()) -> dict[str, str]:
    """Return the headers of a part, media type first."""
    kind = _OCTETS if kind is None else kind
    if not isinstance(kind, str) or not _TYPE.fullmatch(kind):
        raise ValidationError(f"{kind!r} is not a media type", path=place)
    extra = {str(name): str(value) for name, value in dict(more).items()}
    for header, value in extra.items():
        ours = header.lower() in {"content-type", "content-disposition"}
        if ours or not is_header_name(header) or _BAD_VALUE.search(value):
            raise ValidationError(f"{header!r} cannot be a header of a file", path=place)
    return {"Content-Type": kind, **extra}


def _part(
    boundary: str, name: str, content: Any, filename: str | None, headers: Mapping[str, str]
) -> _Part:
    head = f'--{boundary}\r\nContent-Disposition: form-data; name="{_quoted(name)}"'
    if filename is not None:
        head += f'; filename="{_quoted(filename)}"'
    head += "".join(f"\r\n{header}: {value}" for header, value in headers.items())
    start, size = _extent(name, content)
    return _Part(f"{head}\r\n\r\n".encode(), content, size, start, name)


def _quoted(name: str) -> str:
    """Escape characters that would end a quoted name, as browsers do (WHATWG HTML, multipart/form-data)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _extent(name: str, content: Any) -> tuple[int, int]:
    """Return where a content starts, and its size from there in bytes."""
    if isinstance(content, bytes):
        return 0, len(content)
    if isinstance(content, Path):
        return 0, content.stat().st_size
    try:
        here = content.tell()
        end = content.seek(0, io.SEEK_END)
        content.seek(here)
        is_binary = isinstance(content.read(0), bytes)
    except (AttributeError, OSError, TypeError, ValueError):
        is_binary = False
    if not is_binary:
        raise ValidationError(
            "must be a path, bytes, text, or a binary file that is seekable",
            path=f"files[{name}]",
        )
    return int(here), int(end - here)


def _pieces(part: _Part) -> Iterator[bytes]:
    if isinstance(part.content, bytes):
        yield part.content
        return
    try:
        if isinstance(part.content, Path):
            with part.content.open("rb") as file:
                yield from _read(file, part)
            return
        part.content.seek(part.start)
        yield from _read(part.content, part)
    except OSError as error:
        raise ValidationError(
            f"cannot be read ({error.strerror or type(error).__name__})", path=f"files[{part.name}]"
        ) from error


def _read(file: IO[bytes], part: _Part) -> Iterator[bytes]:
    """Yield exactly the announced number of bytes, even if the file changes in the meantime."""
    left = part.size
    while left:
        piece = file.read(min(_PIECE, left))
        if not piece:
            raise ValidationError(
                "shrank while it was sent; send it again", path=f"files[{part.name}]"
            )
        left -= len(piece)
        yield piece


def _end(boundary: str) -> bytes:
    return f"--{boundary}--\r\n".encode()
