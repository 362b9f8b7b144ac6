# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import boolean, constant, integer, mapping, optional, required, string
from ..record import Record
from .model_data import ModelData
from .optimizer_config import OptimizerConfig


@attrs.frozen(kw_only=True, eq=False, repr=False)
class GetInfoResponse(Record):
    """What the server knows of a model.

    Attributes:
        model_id: The model.
        model_data: Of what it is made.
        is_lora: Whether it is an adapter.
        lora_rank: Its rank.
        model_name: Name of the base model.
        optimizer_config: Its optimizer. Missing: {type: adamw}.
        type_: Names the kind of object. May be left out.
    """

    model_id: str
    model_data: ModelData
    is_lora: bool | None = None
    lora_rank: int | None = None
    model_name: str | None = None
    optimizer_config: OptimizerConfig | None = None
    type_: Literal["get_info"] = "get_info"

    @property
    def type(self) -> Literal["get_info"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "model_id": self.model_id,
            "model_data": self.model_data.to_dict(),
            "type": self.type_,
        }
        if self.is_lora is not None:
            result["is_lora"] = self.is_lora
        if self.lora_rank is not None:
            result["lora_rank"] = self.lora_rank
        if self.model_name is not None:
            result["model_name"] = self.model_name
        if self.optimizer_config is not None:
            result["optimizer_config"] = self.optimizer_config.to_dict()
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            model_id=required(data, "model_id", string),
            model_data=required(data, "model_data", ModelData.from_dict),
            is_lora=optional(data, "is_lora", boolean),
            lora_rank=optional(data, "lora_rank", integer),
            model_name=optional(data, "model_name", string),
            optimizer_config=optional(data, "optimizer_config", OptimizerConfig.from_dict),
            type_=constant(data, "type", "get_info", required=False),
        )
