"""Safetensors files: memory-mapped reading (bfloat16 included) and durable writing.

numpy, and so the library, has no bfloat16, so the reader is our own; a bfloat16 is the upper half of a float32.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save as encode_safetensors

from tinkex._base.atomic_file import atomic_write
from tinkex._base.safetensors import read_header
from tinkex.local.engine.arena import Array
from tinkex.local.engine.errors import EngineError

_DTYPES = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4"}


class TensorFile:
    """A safetensors file, opened without reading its tensors.

    Example:
        >>> TensorFile(path)["model.norm.weight"].dtype  # doctest: +SKIP
        dtype('float32')

    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            header = read_header(path)
        except OSError as error:
            raise EngineError(f"cannot read {path}: {error.strerror or error}") from None
        except ValueError as error:
            raise EngineError(f"{path} is not a valid safetensors file: {error}") from None
        self.metadata = header.metadata
        self._entries = header.tensors
        self._bytes = np.memmap(path, mode="r", dtype=np.uint8)

    def keys(self) -> list[str]:
        """Return the names of the tensors."""
        return list(self._entries)

    def __contains__(self, name: str) -> bool:
        return name in self._entries

    def __getitem__(self, name: str) -> Array:
        """Return one tensor: a read-only view of the file, or float32 converted from bfloat16."""
        if name not in self._entries:
            raise EngineError(f"{self.path.name} has no tensor {name!r}")
        entry = self._entries[name]
        kind = entry.dtype
        if kind not in _DTYPES:
            raise EngineError(f"{self.path.name}: tensor {name!r} has unsupported dtype {kind}")
        dtype, raw = np.dtype(_DTYPES[kind]), self._bytes[entry.begin : entry.end]
        # A plain ndarray: memmap's own subclass would follow every result of arithmetic.
        flat = np.frombuffer(raw.data, dtype) if raw.size else np.empty(0, dtype)
        if kind == "BF16":
            flat = (flat.astype(np.uint32) << 16).view(np.float32)
        return flat.reshape(entry.shape)


def write_tensors(
    path: Path, tensors: Mapping[str, Array], metadata: Mapping[str, str] | None = None
) -> None:
    """Write a safetensors file durably."""
    contiguous = {name: np.ascontiguousarray(tensor) for name, tensor in tensors.items()}
    content = encode_safetensors(contiguous, metadata={"format": "pt", **(metadata or {})})
    atomic_write(path, content, durable=True)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write a JSON file durably."""
    content = json.dumps(value, indent=2, sort_keys=True) + "\n"
    atomic_write(path, content.encode(), durable=True)


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
