# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import boolean, integer, mapping, optional, required, string
from ..record import Record
from .optimizer_config import OptimizerConfig


@attrs.frozen(kw_only=True, eq=False, repr=False)
class WeightsInfoResponse(Record):
    """What is needed to make a model that the checkpoint fits.

    Attributes:
        base_model: The base model.
        is_lora: Whether it is an adapter.
        lora_rank: Its rank.
        train_unembed: Whether the unembedding is trained. Null: yes.
        train_mlp: Whether feed-forward layers are trained. Null: yes.
        train_attn: Whether attention layers are trained. Null: yes.
        optimizer_config: Its optimizer. Missing: {type: adamw}.
    """

    base_model: str
    is_lora: bool
    lora_rank: int | None = None
    train_unembed: bool | None = None
    train_mlp: bool | None = None
    train_attn: bool | None = None
    optimizer_config: OptimizerConfig | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"base_model": self.base_model, "is_lora": self.is_lora}
        if self.lora_rank is not None:
            result["lora_rank"] = self.lora_rank
        if self.train_unembed is not None:
            result["train_unembed"] = self.train_unembed
        if self.train_mlp is not None:
            result["train_mlp"] = self.train_mlp
        if self.train_attn is not None:
            result["train_attn"] = self.train_attn
        if self.optimizer_config is not None:
            result["optimizer_config"] = self.optimizer_config.to_dict()
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            base_model=required(data, "base_model", string),
            is_lora=required(data, "is_lora", boolean),
            lora_rank=optional(data, "lora_rank", integer),
            train_unembed=optional(data, "train_unembed", boolean),
            train_mlp=optional(data, "train_mlp", boolean),
            train_attn=optional(data, "train_attn", boolean),
            optimizer_config=optional(data, "optimizer_config", OptimizerConfig.from_dict),
        )
