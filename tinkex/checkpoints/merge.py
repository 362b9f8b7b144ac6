"""Merge a LoRA adapter into its base model, one tensor at a time, with numpy alone."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from attrs import frozen

from tinkex._base.atomic_file import atomic_write
from tinkex._base.safetensors import Entry, read_header
from tinkex.checkpoints.inspection import CONFIG
from tinkex.errors import CheckpointError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Array = npt.NDArray[np.float32]

ADAPTER = "adapter_model.safetensors"
_MODEL_CONFIG = "config.json"
_INDEX = "model.safetensors.index.json"
_PART = re.compile(r"base_model\.model\.(?P<layer>.+)\.lora_(?P<side>[AB])(?:\.default)?\.weight")
_EMBEDDING, _HEAD = "model.embed_tokens.weight", "lm_head.weight"
_COPIED = 1024 * 1024
# What changes the formula, or holds more than the matrices A and B.
_UNKNOWN = ("use_dora", "fan_in_fan_out", "modules_to_save", "lora_bias", "trainable_token_indices")


@frozen
class _Source:
    """A tensor in a file."""

    file: Path
    entry: Entry

    def copy(self, out: BinaryIO) -> None:
        with self.file.open("rb") as opened:
            opened.seek(self.entry.begin)
            left = self.entry.end - self.entry.begin
            while left:
                block = opened.read(min(_COPIED, left))
                if not block:
                    raise CheckpointError(f"{self.file} ends in the middle of a tensor")
                out.write(block)
                left -= len(block)

    def read(self) -> Array:
        """Return the tensor as float32."""
        import numpy as np

        with self.file.open("rb") as opened:
            opened.seek(self.entry.begin)
            raw = opened.read(self.entry.end - self.entry.begin)
        if self.entry.dtype == "BF16":
            wide = np.frombuffer(raw, "<u2").astype(np.uint32) << 16
            found = wide.view(np.float32)
        elif self.entry.dtype in ("F16", "F32"):
            found = np.frombuffer(raw, "<f2" if self.entry.dtype == "F16" else "<f4")
        else:
            raise CheckpointError(
                f"{self.file.name} holds weights of type {self.entry.dtype}; an adapter can be merged into "
                "BF16, F16 and F32. Take the model in one of these"
            )
        return found.astype(np.float32).reshape(self.entry.shape)


def _written(values: Array, dtype: str) -> bytes:
    """Return float32 numbers in a type of the format, rounded to the nearest."""
    import numpy as np

    if dtype == "BF16":
        bits = np.ascontiguousarray(values).view(np.uint32)
        rounded = bits + (0x7FFF + ((bits >> 16) & 1))
        return bytes((rounded >> 16).astype("<u2").tobytes())
    return bytes(values.astype("<f2" if dtype == "F16" else "<f4").tobytes())


@frozen
class _Layer:
    """The two matrices of an adapted layer, and the scale of their product."""

    a: _Source
    b: _Source
    scale: float

    def delta(self) -> Array:
        product: Array = (self.b.read() @ self.a.read()) * self.scale
        return product


def merge(
    adapter: str | os.PathLike[str],
    base: str | os.PathLike[str],
    output: str | os.PathLike[str],
) -> Path:
    """Write a model with an adapter merged into it, and return its folder.

    >>> merge("checkpoints/final", "models/Qwen3-8B", "models/Qwen3-8B-orders")

    Each weight becomes W + scale * B @ A, in its own type. One tensor is in memory at a time. In a
    model whose unembedding is tied to its embedding, an adapter of the unembedding is merged into a
    copy, and the configuration says that the two are no longer tied; to add it to both, as tools do
    that know only one matrix, would change the embedding, which was not trained.

    Args:
        adapter: The folder of a downloaded checkpoint.
        base: The folder of the base model, in the layout of the Hugging Face hub.
        output: The folder to make; it must not exist, or be empty.

    Raises:
        CheckpointError: Something is missing, does not fit, or would be merged wrongly; nothing is
            left in the output.
    """
    adapter, base, output = Path(adapter), Path(base), Path(output)
    if output.exists() and any(output.iterdir()):
        raise CheckpointError(f"{output} is not empty; name a new folder")
    layers = _layers(adapter)
    shards = _shards(base)
    config = _json(base / _MODEL_CONFIG)
    unties = _check(layers, shards, config, base)
    draft = output.with_name(f".{output.name}.{os.getpid()}")
    draft.mkdir(parents=True)
    try:
        _copy_rest(base, draft, shards)
        if unties:
            config["tie_word_embeddings"] = False
            atomic_write(draft / _MODEL_CONFIG, json.dumps(config, indent=2).encode())
        places: dict[str, str] = {}
        total = 0
        for file, tensors in shards.items():
            total += _merge_shard(draft / file.name, tensors, layers)
            places |= dict.fromkeys(tensors, file.name)
        if (base / _INDEX).exists():
            index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(places.items()))}
            atomic_write(draft / _INDEX, json.dumps(index, indent=2).encode())
        if output.exists():
            output.rmdir()
        draft.replace(output)
    except OSError as error:
        raise CheckpointError(f"{output} cannot be written: {error.strerror or error}") from None
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return output


def _json(file: Path) -> dict[str, Any]:
    try:
        value = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from None
    if not isinstance(value, dict):
        raise CheckpointError(f"{file} is no JSON object")
    return value


def _tensors(file: Path) -> dict[str, _Source]:
    try:
        return {name: _Source(file, one) for name, one in read_header(file).tensors.items()}
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{file} cannot be read: {error}") from None


def _layers(adapter: Path) -> dict[str, _Layer]:
    """Return the adapted layers by the name of their weight in the base model."""
    config = _json(adapter / CONFIG)
    wrong = [name for name in _UNKNOWN if config.get(name)]
    if config.get("bias", "none") != "none":
        wrong.append("bias")
    if config.get("peft_type", "LORA") != "LORA" or wrong:
        raise CheckpointError(
            f"the adapter in {adapter} uses {', '.join(wrong) or config.get('peft_type')}, which cannot be "
            "merged here; merge it with peft"
        )
    sides: dict[str, dict[str, _Source]] = {}
    for name, source in _tensors(adapter / ADAPTER).items():
        found = _PART.fullmatch(name)
        if found is None:
            raise CheckpointError(
                f"{ADAPTER} holds {name!r:.200}, which is no LoRA matrix of a layer"
            )
        sides.setdefault(found["layer"], {})[found["side"]] = source
    layers = {}
    for layer, pair in sides.items():
        if len(pair) < 2:
            raise CheckpointError(
                f"{ADAPTER} holds one of the two matrices of {layer}, and not the other"
            )
        layers[f"{layer}.weight"] = _Layer(pair["A"], pair["B"], _scale(config, layer, pair["A"]))
    return layers


def _scale(config: Mapping[str, Any], layer: str, a: _Source) -> float:
    rank = a.entry.shape[0]

    def of(pattern: str, usual: str) -> float:
        for key, value in (config.get(pattern) or {}).items():
            if re.fullmatch(rf"(?:.*\.)?{key}", layer):
                return float(value)
        return float(config.get(usual) or rank)

    alpha = of("alpha_pattern", "lora_alpha")
    return float(alpha / rank**0.5) if config.get("use_rslora") else float(alpha / rank)


def _shards(base: Path) -> dict[Path, dict[str, _Source]]:
    """Return the tensors of each file of the base model."""
    files = sorted(base.glob("*.safetensors"))
    if not files:
        raise CheckpointError(f"{base} holds no safetensors files")
    return {file: _tensors(file) for file in files}


def _check(
    layers: Mapping[str, _Layer],
    shards: dict[Path, dict[str, _Source]],
    config: Mapping[str, Any],
    base: Path,
) -> bool:
    """Refuse what does not fit, and add a tied unembedding; return whether it is untied."""
    known = {name: (file, one) for file, tensors in shards.items() for name, one in tensors.items()}
    tied = bool(config.get("tie_word_embeddings"))
    unties = tied and _HEAD in layers
    if tied and _EMBEDDING in layers:
        raise CheckpointError(
            "the adapter changes the embedding of a model whose unembedding is the same matrix; it cannot "
            "be merged into one of the two"
        )
    if unties and _HEAD not in known:
        if _EMBEDDING not in known:
            raise CheckpointError(f"{base} has neither {_HEAD} nor {_EMBEDDING}")
        file, embedding = known[_EMBEDDING]
        shards[file][_HEAD] = embedding
        known[_HEAD] = file, embedding
    missing = sorted(set(layers) - set(known))
    if missing:
        raise CheckpointError(
            f"{base} has no {missing[0]} ({len(missing)} of {len(layers)} adapted layers are missing); is it "
            "the adapter's base model?"
        )
    for name, layer in layers.items():
        shape = layer.b.entry.shape[0], layer.a.entry.shape[-1]
        if shape != known[name][1].entry.shape or layer.b.entry.shape[1] != layer.a.entry.shape[0]:
            raise CheckpointError(
                f"{name} has the shape {known[name][1].entry.shape}, and the adapter's is {shape}; is it the "
                "adapter's base model?"
            )
    return unties


def _copy_rest(base: Path, draft: Path, shards: Mapping[Path, Any]) -> None:
    for file in base.iterdir():
        if file.is_file() and file not in shards and file.name != _INDEX:
            shutil.copy(file, draft / file.name)


def _merge_shard(file: Path, tensors: Mapping[str, _Source], layers: Mapping[str, _Layer]) -> int:
    """Write a shard with its merged tensors, and return the size of all tensors in bytes."""
    header: dict[str, Any] = {"__metadata__": {"format": "pt"}}
    end = 0
    for name, source in tensors.items():
        begin, end = end, end + source.entry.end - source.entry.begin
        header[name] = {
            "dtype": source.entry.dtype,
            "shape": source.entry.shape,
            "data_offsets": [begin, end],
        }
    raw = json.dumps(header).encode()
    raw += b" " * (-len(raw) % 8)
    with file.open("wb") as out:
        out.write(len(raw).to_bytes(8, "little") + raw)
        for name, source in tensors.items():
            if name in layers:
                out.write(_written(source.read() + layers[name].delta(), source.entry.dtype))
            else:
                source.copy(out)
    return end
