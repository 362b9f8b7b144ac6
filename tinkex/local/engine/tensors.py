"""Safetensors files: memory-mapped reading (bfloat16 included) and durable writing.

numpy has no bfloat16, so the reader is our own; a bfloat16 is the upper half of a float32.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as encode_safetensors

from tinkex.local.engine.arena import Array
from tinkex.local.engine.errors import EngineError

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4"}
_MAX_HEADER = 100 << 20


class TensorFile:
    """A safetensors file, opened without reading its tensors.

    Example:
        >>> TensorFile(path)["model.norm.weight"].dtype  # doctest: +SKIP
        dtype('float32')

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with path.open("rb") as stream:
                head = stream.read(8)
                length = int.from_bytes(head, "little")
                if len(head) < 8 or length > _MAX_HEADER:
                    raise EngineError(f"{path} is not a safetensors file")
                header = json.loads(stream.read(length))
        except OSError as error:
            raise EngineError(f"cannot read {path}: {error.strerror or error}") from None
        except ValueError:
            raise EngineError(f"{path} is not a safetensors file") from None
        if not isinstance(header, dict):
            raise EngineError(f"{path} is not a safetensors file")
        self.metadata: dict[str, str] = header.pop("__metadata__", {})
        self._entries: dict[str, Any] = header
        self._start = 8 + length
        self._bytes = np.memmap(path, mode="r", dtype=np.uint8)

    def keys(self) -> list[str]:
        """Return the names of the tensors."""
        return list(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> Array:
        """Return one tensor: a read-only view of the file, or float32 where it held bfloat16."""
        if name not in self._entries:
            raise EngineError(f"{self.path.name} has no tensor {name!r}")
        entry = self._entries[name]
        kind, shape, (begin, end) = entry["dtype"], tuple(entry["shape"]), entry["data_offsets"]
        if kind not in _DTYPES:
            raise EngineError(f"{self.path.name}: tensor {name!r} has unsupported dtype {kind}")
        dtype = np.dtype(_DTYPES[kind])
        raw = self._bytes[self._start + begin : self._start + end]
        if raw.size != math.prod(shape) * dtype.itemsize:
            raise EngineError(f"{self.path.name}: tensor {name!r} is cut short or damaged")
        # A plain ndarray: memmap's own subclass would follow every result of arithmetic.
        flat = np.frombuffer(raw.data, dtype) if raw.size else np.empty(0, dtype)
        if kind == "BF16":
            flat = (flat.astype(np.uint32) << 16).view(np.float32)
        return flat.reshape(shape)


def write_durably(path: Path, content: bytes) -> None:
    """Write a file so that after a crash it is there whole, or as it was before."""
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make a rename durable; Windows can neither open nor sync a folder, and needs no such thing."""
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def write_tensors(
    path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file durably."""
    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    write_durably(
        path, encode_safetensors(contiguous, metadata={"format": "pt", **(metadata or {})})
    )


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file durably."""
    write_durably(path, (json.dumps(value, indent=2, sort_keys=True) + "\n").encode())


def read_json(path: Path) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise EngineError(f"cannot read {path}: {error.strerror or error}") from None
    except ValueError as error:
        raise EngineError(f"{path} is not valid JSON: {error}") from None
    if not isinstance(value, dict):
        raise EngineError(f"{path} does not hold a JSON object")
    return value
