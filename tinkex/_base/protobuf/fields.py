"""Protobuf messages as numbered fields, to read and to write.

The encoding is described at https://protobuf.dev/programming-guides/encoding/.
"""

from __future__ import annotations

import functools
import struct
import sys
from array import array
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeAlias, cast

from tinkex_generated.errors import ParseError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

Bytes = bytes | memoryview
# Anything with a contiguous buffer: arrays are copied into the message without a detour.
Buffer: TypeAlias = "Bytes | npt.NDArray[np.generic]"

VARINT, FIXED64, LENGTH, FIXED32 = 0, 1, 2, 5
# The fields of the entries of every map.
KEY, VALUE = 1, 2
_SIZES = {FIXED64: 8, FIXED32: 4}
_MOST_VARINT_BYTES = 10
_MOST_KEY = 2**32
_DOUBLE = struct.Struct("<d")


class Message:
    """The fields of one message, by number; unknown fields are skipped.

    >>> message = Message(bytes([0x0A, 2, 104, 105, 0x10, 5]))
    >>> message.text(1), message.integer(2), message.integer(3)
    ('hi', 5, 0)

    Args:
        data: The serialized message.
        path: The message's name in errors.

    Raises:
        ParseError: The bytes are not a message. The methods raise it for a value of the wrong type.
    """

    __slots__ = ("_fields", "path")

    def __init__(self, data: Bytes, path: str = "") -> None:
        self.path = path
        # By number and wire type together: as in every protobuf parser, a field of another type is an
        # unknown field.
        self._fields = _split(memoryview(data), path)

    def integer(self, number: int, bits: int = 64) -> int:
        """Return an int32, int64, enum or bool; 0 if it is missing."""
        value = self._last(number, VARINT)
        return 0 if value is None else _signed(_int(value), bits)

    def unsigned(self, number: int) -> int:
        """Return a uint32; 0 if it is missing."""
        value = self._last(number, VARINT)
        return 0 if value is None else _int(value) & 0xFFFF_FFFF

    def double(self, number: int) -> float:
        """Return a double; 0.0 if it is missing."""
        value = self._last(number, FIXED64)
        return 0.0 if value is None else float(_DOUBLE.unpack(_view(value))[0])

    def blob(self, number: int) -> memoryview | None:
        """Return bytes, or None if they are missing."""
        value = self._last(number, LENGTH)
        return None if value is None else _view(value)

    def text(self, number: int) -> str:
        """Return a string; empty if it is missing."""
        value = self.blob(number)
        try:
            return "" if value is None else str(value, "utf-8")
        except UnicodeDecodeError:
            raise ParseError(self.path, f"has a field {number} that is not UTF-8") from None

    def message(self, number: int, name: str) -> Message | None:
        """Return an embedded message, or None if it is missing."""
        values = self._fields.get(number << 3 | LENGTH)
        if values is None:
            return None
        # Repeated occurrences are merged, which equals parsing their concatenated bytes.
        whole = values[0] if len(values) == 1 else b"".join(map(_view, values))
        return Message(_view(whole), self.at(name))

    def messages(self, number: int, name: str) -> list[Message]:
        """Return the items of a repeated message."""
        values = self._fields.get(number << 3 | LENGTH, [])
        return [Message(_view(value), f"{self.at(name)}[{i}]") for i, value in enumerate(values)]

    def entries(self, number: int, name: str) -> Iterator[tuple[str, Message]]:
        """Yield the entries of a map with string keys; the value of each is its field `VALUE`."""
        for value in self._fields.get(number << 3 | LENGTH, ()):
            entry = Message(_view(value), self.at(name))
            key = entry.text(KEY)
            entry.path = f"{self.at(name)}[{key!r}]"
            yield key, entry

    def integers(self, number: int) -> list[int]:
        """Return the items of a repeated int64, packed or not."""
        found = [_int(value) for value in self._fields.get(number << 3 | VARINT, ())]
        for packed in self._fields.get(number << 3 | LENGTH, ()):
            view, at = _view(packed), 0
            while at < len(view):
                value, at = _read_varint(view, at, self.path)
                found.append(value)
        return [_signed(value, 64) for value in found]

    def values(self, number: int, name: str) -> Iterator[tuple[str, Message]]:
        """Yield the keys and values of a map from strings to messages.

        Raises:
            ParseError: An entry has no value.
        """
        for key, entry in self.entries(number, name):
            value = entry.message(VALUE, "value")
            if value is None:
                raise ParseError(entry.path, "has no value")
            value.path = entry.path
            yield key, value

    def which(self, members: Mapping[int, int]) -> int | None:
        """Return which member of a oneof is set; the last one wins.

        Args:
            members: The wire type of each member, by its number.
        """
        wanted = {number << 3 | kind: number for number, kind in members.items()}
        return next((wanted[key] for key in reversed(self._fields) if key in wanted), None)

    def at(self, step: str) -> str:
        """Return the path of a field inside this message, for errors."""
        return f"{self.path}.{step}" if self.path else step

    def _last(self, number: int, kind: int) -> int | Bytes | None:
        values = self._fields.get(number << 3 | kind)
        return values[-1] if values else None


class Writer:
    """The fields of one message, written in the order of the calls.

    >>> Writer().text(1, "hi").integer(2, 5).joined().hex(" ")
    '0a 02 68 69 10 05'

    Fields with the default value (0, empty) are left out, as in proto3, unless `present` is set: for
    members of a oneof, map entries and optional fields. Buffers are kept by reference and copied
    once, by `joined`.
    """

    __slots__ = ("_parts", "size")

    def __init__(self) -> None:
        self._parts: list[Buffer] = []
        self.size = 0

    def integer(self, number: int, value: int, *, present: bool = False) -> Writer:
        """Add an int32, int64, enum, bool or unsigned integer."""
        if value or present:
            self._add(varint(number << 3 | VARINT) + varint(value))
        return self

    def double(self, number: int, value: float, *, present: bool = False) -> Writer:
        """Add a double."""
        if value or present:
            self._add(varint(number << 3 | FIXED64) + _DOUBLE.pack(value))
        return self

    def text(self, number: int, value: str, *, present: bool = False) -> Writer:
        """Add a string."""
        return self.blob(number, value.encode(), present=present)

    def blob(self, number: int, value: Buffer, *, present: bool = False) -> Writer:
        """Add bytes; an array must be C-contiguous."""
        size = len(value) if isinstance(value, bytes) else value.nbytes
        if size or present:
            self._add(varint(number << 3 | LENGTH) + varint(size))
            self._parts.append(value)
            self.size += size
        return self

    def message(self, number: int, value: Writer) -> Writer:
        """Add an embedded message, or another item of a repeated one."""
        self._add(varint(number << 3 | LENGTH) + varint(value.size))
        self._parts.extend(value._parts)
        self.size += value.size
        return self

    def entry(self, number: int, key: str, value: Writer | float) -> Writer:
        """Add an entry of a map with string keys, whose values are messages or doubles."""
        entry = Writer().text(KEY, key, present=True)
        if isinstance(value, Writer):
            return self.message(number, entry.message(VALUE, value))
        return self.message(number, entry.double(VALUE, value, present=True))

    def integers(self, number: int, values: tuple[int, ...]) -> Writer:
        """Add a repeated int64, packed."""
        return self.blob(number, b"".join(map(varint, values)))

    def extend(self, other: Writer) -> Writer:
        """Append the fields of another writer."""
        self._parts.extend(other._parts)
        self.size += other.size
        return self

    def joined(self) -> bytes:
        """Return the serialized message."""
        # join accepts any buffer, which its type does not say.
        return b"".join(cast("list[bytes]", self._parts))

    def _add(self, part: bytes) -> None:
        self._parts.append(part)
        self.size += len(part)


# Field keys and tensor sizes are few distinct numbers.
@functools.lru_cache(maxsize=1024)
def varint(value: int) -> bytes:
    """Return a number in groups of seven bits; negative ones take ten bytes."""
    value &= 2**64 - 1
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _split(view: memoryview, path: str) -> dict[int, list[int | Bytes]]:
    fields: dict[int, list[int | Bytes]] = {}
    at, end = 0, len(view)
    while at < end:
        key, at = _read_varint(view, at, path)
        kind = key & 7
        value: int | Bytes
        if kind == VARINT:
            value, at = _read_varint(view, at, path)
        elif kind in (LENGTH, FIXED64, FIXED32):
            size, at = _read_varint(view, at, path) if kind == LENGTH else (_SIZES[kind], at)
            if size > end - at:
                raise ParseError(path, f"ends {size - (end - at)} bytes too early")
            value, at = view[at : at + size], at + size
        else:
            raise ParseError(path, f"has a field of the unknown wire type {kind}")
        if not 8 <= key < _MOST_KEY:
            raise ParseError(path, f"has the invalid field number {key >> 3}")
        # The latest field comes last, so that `which` can return the oneof's member.
        values = fields.pop(key, None) or []
        values.append(value)
        fields[key] = values
    return fields


def _read_varint(view: memoryview, at: int, path: str) -> tuple[int, int]:
    if at < len(view) and view[at] < 0x80:
        return view[at], at + 1
    result = shift = 0
    for position in range(at, min(at + _MOST_VARINT_BYTES, len(view))):
        byte = view[position]
        result |= (byte & 0x7F) << shift
        if byte < 0x80:
            return result & (2**64 - 1), position + 1
        shift += 7
    raise ParseError(path, "ends within a number, or has one that is too long")


def _signed(value: int, bits: int) -> int:
    half = 1 << (bits - 1)
    return ((value & (2 * half - 1)) ^ half) - half


def _int(value: int | Bytes) -> int:
    assert isinstance(value, int)  # noqa: S101 - guaranteed by the wire type in its key
    return value


def _view(value: int | Bytes) -> memoryview:
    assert not isinstance(value, int)  # noqa: S101 - guaranteed by the wire type in its key
    return memoryview(value)


def numbers(data: memoryview | None, typecode: Literal["i", "f"], path: str) -> array[Any]:
    """Return the int32 ("i") or float32 ("f") numbers of bytes, without loading numpy.

    Raises:
        ParseError: The length is not a multiple of the item size.
    """
    found: array[Any] = array(typecode)
    try:
        found.frombytes(b"" if data is None else data)
    except ValueError:
        raise ParseError(
            path, f"has {len(data or b'')} bytes, not a multiple of the item size of 4"
        ) from None
    if sys.byteorder == "big":
        found.byteswap()
    return found
