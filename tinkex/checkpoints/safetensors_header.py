"""Parsing of safetensors headers.

Format: https://huggingface.co/docs/safetensors/index#format: eight bytes with the length of a JSON
object (little-endian), the object, and the bytes of all tensors.
"""

from __future__ import annotations

import json
import math
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeGuard

from attrs import frozen

from tinkex.errors import CheckpointError

# The format's own limit.
LONGEST_HEADER = 100_000_000
_METADATA = "__metadata__"
# In bits, since some dtypes are smaller than a byte.
_BITS = {
    "BOOL": 8, "U8": 8, "I8": 8, "F8_E5M2": 8, "F8_E4M3": 8, "F8_E8M0": 8, "F4": 4,
    "I16": 16, "U16": 16, "F16": 16, "BF16": 16,
    "I32": 32, "U32": 32, "F32": 32,
    "I64": 64, "U64": 64, "F64": 64, "C64": 64,
}  # fmt: skip


@frozen
class StoredTensor:
    """A tensor in a file.

    Attributes:
        name: Its name.
        dtype: Its dtype in the format's notation: "F32", "BF16".
        shape: Its dimensions.
        size_bytes: Its size in the file.
        file: The file's name.
    """

    name: str
    dtype: str
    shape: tuple[int, ...]
    size_bytes: int
    file: str

    @property
    def parameters(self) -> int:
        """Return the number of values."""
        return math.prod(self.shape)


def read_header(file: Path) -> list[StoredTensor]:
    """Return the tensors of a safetensors file, sorted by name; only the header is read.

    Raises:
        CheckpointError: The file is invalid, or its header does not match its length.
    """
    size = file.stat().st_size
    with file.open("rb") as stream:
        start = stream.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else -1
        if not 2 <= length <= min(LONGEST_HEADER, size - 8):
            raise _wrong(file, f"its header would be {length} bytes long")
        raw = stream.read(length)
    try:
        header = json.loads(raw)
    except (ValueError, RecursionError):
        raise _wrong(file, "its header is not JSON") from None
    if not isinstance(header, dict):
        raise _wrong(file, "its header is not a JSON object")
    room = size - 8 - length
    tensors = [
        _tensor(file, name, entry, room) for name, entry in header.items() if name != _METADATA
    ]
    return sorted(tensors, key=lambda tensor: tensor.name)


def _tensor(file: Path, name: str, entry: Any, room: int) -> StoredTensor:
    fields: Mapping[str, Any] = entry if isinstance(entry, dict) else {}
    dtype, shape = fields.get("dtype"), fields.get("shape")
    offsets = fields.get("data_offsets")
    if not isinstance(dtype, str) or not _are_counts(shape) or not _are_counts(offsets):
        raise _wrong(file, f"its tensor {name!r:.100} has no dtype, shape or data_offsets")
    if len(offsets) != 2 or not offsets[0] <= offsets[1] <= room:
        raise _wrong(file, f"its tensor {name!r:.100} is outside the file")
    taken, bits = offsets[1] - offsets[0], _BITS.get(dtype)
    if bits is not None and taken * 8 != math.prod(shape) * bits:
        raise _wrong(file, f"its tensor {name!r:.100} has a size that does not match its shape")
    return StoredTensor(name, dtype, tuple(shape), taken, file.name)


def _are_counts(value: Any) -> TypeGuard[list[int]]:
    return isinstance(value, list) and all(type(item) is int and item >= 0 for item in value)


def _wrong(file: Path, why: str) -> CheckpointError:
    return CheckpointError(
        f"{file.name} is not a complete safetensors file: {why}; download it again"
    )
