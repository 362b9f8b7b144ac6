"""Adapters at rest: an immutable snapshot, and its files in the layout of the PEFT library."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

import numpy as np

from tinkex.local.engine.arena import Array
from tinkex.local.engine.base import Base
from tinkex.local.engine.errors import EngineError
from tinkex.local.engine.lora import LoraSpec, ParameterLayout
from tinkex.local.engine.tensors import TensorFile, read_json, write_json, write_tensors

WEIGHTS_FILE = "adapter_model.safetensors"
CONFIG_FILE = "adapter_config.json"
_PREFIX = "base_model.model."
_ATTENTION = ("q_proj", "k_proj", "v_proj", "o_proj")
_MLP = ("gate_proj", "up_proj", "down_proj")


class Adapter:
    """One version of an adapter's weights; immutable, shared between threads.

    Example:
        >>> from tinkex.local.engine import Base, LoraSpec, Trainer, nano_config
        >>> Trainer(Base.random(nano_config()), LoraSpec(rank=4)).snapshot().lora.rank
        4

    """

    def __init__(self, base: Base, layout: ParameterLayout, flat: Array) -> None:
        self.base = base
        self.layout = layout
        self.flat = flat
        flat.flags.writeable = False

    @property
    def lora(self) -> LoraSpec:
        """Rank and trained groups."""
        return self.layout.spec

    @classmethod
    def load(cls, folder: Path | str, base: Base) -> Self:
        """Read a PEFT folder that was trained on `base`.

        Raises:
            EngineError: where the folder is not such an adapter, or does not fit the base.

        """
        folder = Path(folder)
        layout = ParameterLayout(base.config, read_spec(folder))
        flat = np.empty(layout.size, base.dtype)
        read_named(layout, flat, TensorFile(folder / WEIGHTS_FILE), prefix="")
        return cls(base, layout, flat)

    def save(self, folder: Path | str) -> None:
        """Write adapter_config.json and adapter_model.safetensors, durably."""
        folder = Path(folder)
        folder.mkdir(parents=True, exist_ok=True)
        write_tensors(folder / WEIGHTS_FILE, named_tensors(self.layout, self.flat, prefix=""))
        write_json(folder / CONFIG_FILE, _peft_config(self.base, self.lora))


def named_tensors(layout: ParameterLayout, flat: Array, prefix: str) -> dict[str, Array]:
    """Return the matrices of a flat vector under their PEFT names, rows in Hugging Face order."""
    tensors: dict[str, Array] = {}
    for name, a, b, order in layout.named(flat):
        plain = b
        if order is not None:
            plain = np.empty_like(b)
            plain[order] = b
        tensors[f"{prefix}{_PREFIX}{name}.lora_A.weight"] = a
        tensors[f"{prefix}{_PREFIX}{name}.lora_B.weight"] = plain
    return tensors


def read_named(layout: ParameterLayout, flat: Array, file: TensorFile, prefix: str) -> None:
    """Fill a flat vector from a file written by `named_tensors`."""
    expected = 0
    for name, a, b, order in layout.named(flat):
        for matrix, kind, rows in ((a, "lora_A", None), (b, "lora_B", order)):
            key = f"{prefix}{_PREFIX}{name}.{kind}.weight"
            tensor = file[key]
            if tensor.shape != matrix.shape:
                raise EngineError(
                    f"{file.path.name}: {key} has shape {tensor.shape}, expected {matrix.shape} "
                    "for this base model"
                )
            matrix[...] = tensor if rows is None else tensor[rows]
            expected += 1
    mine = [key for key in file.keys() if key.startswith(prefix + _PREFIX)]  # noqa: SIM118
    if len(mine) != expected:
        raise EngineError(
            f"{file.path.name} holds {len(mine)} adapter tensors, expected {expected}"
        )


def read_spec(folder: Path) -> LoraSpec:
    """Read rank, alpha and trained groups from a PEFT adapter_config.json."""
    path = folder / CONFIG_FILE
    raw = read_json(path)
    if raw.get("peft_type") != "LORA":
        raise EngineError(f"{path}: peft_type is {raw.get('peft_type')!r}, expected 'LORA'")
    for key in ("use_rslora", "use_dora", "fan_in_fan_out", "rank_pattern", "alpha_pattern"):
        if raw.get(key):
            raise EngineError(f"{path}: {key} is not supported")
    modules = raw.get("target_modules")
    modules = set(modules) if isinstance(modules, list) else {modules}
    groups = {"train_attn": _ATTENTION, "train_mlp": _MLP, "train_unembed": ("lm_head",)}
    flags = {flag: modules >= set(names) for flag, names in groups.items()}
    known = {name for flag, names in groups.items() if flags[flag] for name in names}
    if not known or modules != known:
        raise EngineError(
            f"{path}: target_modules {sorted(map(str, modules))} is not a union of "
            f"{', '.join(str(list(names)) for names in groups.values())}"
        )
    try:
        return LoraSpec(rank=int(raw["r"]), alpha=float(raw["lora_alpha"]), **flags)
    except (KeyError, TypeError) as error:
        raise EngineError(f"{path} lacks a valid {error}") from None


def check_same(found: LoraSpec, wanted: LoraSpec, folder: Path) -> None:
    """Refuse a checkpoint whose adapter differs from the trainer's, saying how."""
    names = ("rank", "alpha", "train_attn", "train_mlp", "train_unembed")
    differences = [
        f"{name} is {getattr(found, name)} there and {getattr(wanted, name)} here"
        for name in names
        if getattr(found, name) != getattr(wanted, name)
    ]
    if differences:
        raise EngineError(f"cannot load {folder.name}: {'; '.join(differences)}")


def _peft_config(base: Base, spec: LoraSpec) -> Mapping[str, Any]:
    modules: list[str] = []
    modules += _ATTENTION if spec.train_attn else ()
    modules += _MLP if spec.train_mlp else ()
    modules += ("lm_head",) if spec.train_unembed else ()
    return {
        "peft_type": "LORA",
        "task_type": "CAUSAL_LM",
        "base_model_name_or_path": base.name,
        "r": spec.rank,
        "lora_alpha": int(spec.alpha) if spec.alpha == int(spec.alpha) else spec.alpha,
        "lora_dropout": 0.0,
        "target_modules": modules,
        "bias": "none",
        "fan_in_fan_out": False,
        "inference_mode": True,
        "init_lora_weights": True,
        "modules_to_save": None,
        "rank_pattern": {},
        "alpha_pattern": {},
        "use_rslora": False,
        "use_dora": False,
        "revision": None,
    }
