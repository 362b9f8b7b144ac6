"""Headers of safetensors files.

Format: https://huggingface.co/docs/safetensors/index#format: eight bytes with the length of a JSON
object (little-endian), the object, and the bytes of all tensors.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from attrs import frozen

# The format's own limit.
LONGEST_HEADER = 100_000_000
_METADATA = "__metadata__"
# In bits, since some types are smaller than a byte.
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip


@frozen
class Entry:
    """A tensor in a file: its type, its shape, and its first byte and the one after its last."""

    dtype: str
    shape: tuple[int, ...]
    begin: int
    end: int


@frozen
class Header:
    """The content of a file's header: its metadata, and its tensors by name, sorted."""

    metadata: Mapping[str, str]
    tensors: Mapping[str, Entry]


def read_header(file: Path) -> Header:
    """Return a file's header; the bytes of its tensors are not read.

    Raises:
        ValueError: The file is not a safetensors file, or its header does not match its length.
        OSError: The file cannot be read.
    """
    with file.open("rb") as stream:
        start = stream.read(8)
        size = file.stat().st_size
        length = int.from_bytes(start, "little") if len(start) == 8 else -1
        if not 2 <= length <= min(LONGEST_HEADER, size - 8):
            raise ValueError(f"its header would be {length} bytes long")
        raw = stream.read(length)
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError):
        raise ValueError("its header is not JSON") from None
    if not isinstance(header, dict):
        raise ValueError("its header is not a JSON object")  # noqa: TRY004 - the file, not a type, is wrong
    metadata = header.pop(_METADATA, None)
    tensors = {name: _entry(name, header[name], 8 + length, size) for name in sorted(header)}
    return Header(metadata if isinstance(metadata, dict) else {}, tensors)


def _entry(name: str, described: Any, start: int, size: int) -> Entry:
    fields: Mapping[str, Any] = described if isinstance(described, dict) else {}
    dtype, shape = fields.get("dtype"), fields.get("shape")
    offsets = fields.get("data_offsets")
    if not isinstance(dtype, str) or not _are_counts(shape) or not _are_counts(offsets):
        raise ValueError(f"its tensor {name!r:.100} has no dtype, shape or data_offsets")
    if len(offsets) != 2 or not offsets[0] <= offsets[1] <= size - start:
        raise ValueError(f"its tensor {name!r:.100} is outside the file")
    bits = _BITS.get(dtype)
    if bits is not None and (offsets[1] - offsets[0]) * 8 != math.prod(shape) * bits:
        raise ValueError(f"its tensor {name!r:.100} has a size that does not match its shape")
    return Entry(dtype, tuple(shape), start + offsets[0], start + offsets[1])


def _are_counts(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)
