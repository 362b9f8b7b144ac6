"""Inspection of a downloaded checkpoint without loading it."""

from __future__ import annotations

import json
import math
import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from attrs import field, frozen

from tinkex._base.columns import columns
from tinkex._base.safetensors import read_header
from tinkex.checkpoints.extract import iter_files
from tinkex.errors import CheckpointError

CONFIG = "adapter_config.json"
_HEADERS = ("tensor", "dtype", "shape", "bytes")
_LONGEST_CONFIG = 1024 * 1024
_LORA = re.compile(r"(?:^|\.)(?P<module>[^.]+)\.lora_(?P<side>[AB])(?:\.[^.]+)*$")


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


@frozen(kw_only=True)
class Inspection:
    """A description of a checkpoint's folder.

    >>> print(inspect("checkpoints/run-1_train_0_sampler_weights_final").table())

    Attributes:
        folder: The folder.
        base_model: The model that the adapter belongs to, if known.
        rank: The LoRA rank, for adapters.
        alpha: The LoRA scale, if known.
        target_modules: The names of the adapted layers, sorted.
        tensors: The tensors, by file and name.
        size_bytes: The total size of all files.
    """

    folder: Path
    base_model: str | None
    rank: int | None
    alpha: float | None
    target_modules: tuple[str, ...]
    tensors: tuple[StoredTensor, ...] = field(repr=lambda tensors: f"<{len(tensors)}>")
    size_bytes: int

    @property
    def parameters(self) -> int:
        """Return the number of values in all tensors."""
        return sum(tensor.parameters for tensor in self.tensors)

    @property
    def dtypes(self) -> tuple[str, ...]:
        """Return the dtypes of the tensors, sorted."""
        return tuple(sorted({tensor.dtype for tensor in self.tensors}))

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serializable dict."""
        return {
            "folder": str(self.folder),
            "base_model": self.base_model,
            "rank": self.rank,
            "alpha": self.alpha,
            "target_modules": list(self.target_modules),
            "dtypes": list(self.dtypes),
            "parameters": self.parameters,
            "size_bytes": self.size_bytes,
            "tensors": [
                {
                    "name": tensor.name,
                    "dtype": tensor.dtype,
                    "shape": list(tensor.shape),
                    "size_bytes": tensor.size_bytes,
                    "file": tensor.file,
                }
                for tensor in self.tensors
            ],
        }

    def to_json(self) -> str:
        """Return the description as JSON."""
        return json.dumps(self.to_dict(), indent=2)

    def table(self) -> str:
        """Return the description as text: a summary, and a line per tensor."""
        rows = [_HEADERS, *self._rows()]
        return "\n".join([*columns(self._facts()), "", *columns(rows, right={2, 3})])

    def _facts(self) -> list[tuple[str, str]]:
        return [
            ("base model", _shown(self.base_model or "unknown")),
            ("rank", "none" if self.rank is None else str(self.rank)),
            ("target modules", _shown(", ".join(self.target_modules)) or "none"),
            ("dtypes", _shown(", ".join(self.dtypes)) or "none"),
            ("parameters", f"{self.parameters:,}"),
            ("size", f"{self.size_bytes:,} bytes"),
        ]

    def _rows(self) -> list[tuple[str, str, str, str]]:
        return [
            (
                _shown(tensor.name),
                _shown(tensor.dtype),
                "x".join(map(str, tensor.shape)) or "scalar",
                f"{tensor.size_bytes:,}",
            )
            for tensor in self.tensors
        ]

    def _repr_html_(self) -> str:
        from tinkex._base.notebook import table

        return table(["checkpoint", self.folder.name], self._facts()) + table(
            _HEADERS, self._rows()
        )


def inspect(folder: str | os.PathLike[str]) -> Inspection:
    """Return a checkpoint's rank, layers, dtypes, shapes, base model and size.

    >>> inspect("checkpoints/run-1_train_0_sampler_weights_final").rank
    8

    Only headers are read, so it is fast for large files, and nothing in the files is ever
    executed.

    Args:
        folder: A folder that `download` created.

    Raises:
        CheckpointError: The folder is missing, or has no safetensors file, or a broken one.
    """
    path = Path(folder)
    if not path.is_dir():
        raise CheckpointError(f"{path} is not a folder; pass the folder of a download")
    files = list(iter_files(path))
    stored = [file for file in files if file.suffix == ".safetensors"]
    if not stored:
        raise CheckpointError(f"{path} has no safetensors file, so there is nothing to inspect")
    tensors = tuple(tensor for file in stored for tensor in _stored(file))
    config = read_config(path / CONFIG)
    rank, alpha, base = (
        config.get("r"),
        config.get("lora_alpha"),
        config.get("base_model_name_or_path"),
    )
    return Inspection(
        folder=path,
        base_model=base if isinstance(base, str) else None,
        rank=rank if type(rank) is int else _stored_rank(tensors),
        alpha=float(alpha) if isinstance(alpha, int | float) else None,
        target_modules=_target_modules(config.get("target_modules"), tensors),
        tensors=tensors,
        size_bytes=sum(file.stat().st_size for file in files),
    )


def _stored(file: Path) -> list[StoredTensor]:
    try:
        tensors = read_header(file).tensors
    except ValueError as error:
        raise CheckpointError(
            f"{file.name} is not a valid safetensors file: {error}; download it again"
        ) from None
    return [
        StoredTensor(name, entry.dtype, entry.shape, entry.end - entry.begin, file.name)
        for name, entry in tensors.items()
    ]


def read_config(file: Path) -> dict[str, Any]:
    """Return an adapter's configuration; empty if the file is missing.

    Raises:
        CheckpointError: The file is not a JSON object, or too long.
    """
    if not file.is_file():
        return {}
    with file.open("rb") as stream:
        raw = stream.read(_LONGEST_CONFIG + 1)
    try:
        config = json.loads(raw) if len(raw) <= _LONGEST_CONFIG else None
    except (ValueError, RecursionError):
        config = None
    if not isinstance(config, dict):
        raise CheckpointError(f"{file.name} is not a JSON object; download the checkpoint again")
    return config


def _stored_rank(tensors: Sequence[StoredTensor]) -> int | None:
    """Return the rank of the tensors: the rows of A (in PEFT's layout)."""
    for tensor in tensors:
        found = _LORA.search(tensor.name)
        if found and found["side"] == "A" and len(tensor.shape) >= 2:
            return tensor.shape[-2]
    return None


def _target_modules(named: Any, tensors: Sequence[StoredTensor]) -> tuple[str, ...]:
    """Return the adapted layers, from the tensors or else from the configuration."""
    found = {match["module"] for tensor in tensors if (match := _LORA.search(tensor.name))}
    if not found:
        listed = named if isinstance(named, list) else [named]
        found = {name for name in listed if isinstance(name, str)}
    return tuple(sorted(found))


def _shown(text: str) -> str:
    """Return a text from a file in a form that is safe for a terminal."""
    return text if text.isprintable() else ascii(text)
