# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import Reader, constant, dict_of, integer, mapping, optional, required, string
from ..record import Record
from .lora_config import LoraConfig
from .optimizer_config import OptimizerConfig


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CreateModelRequest(Record):
    """A new model to train: a base model with a fresh adapter.

    Attributes:
        session_id: The session it belongs to.
        model_seq_id: Number of the model in its session, from 0, chosen by the client. A repeat
            with the same body gets the same model.
        base_model: Name of a base model from get_server_capabilities.
        user_metadata: Free labels of the caller, kept as they are and given back.
        lora_config: The adapter. Servers that train nothing but adapters refuse a request
            without it.
        optimizer_config: The optimizer. Same as {type: adamw} when left out.
        type_: Names the kind of object. May be left out.
    """

    session_id: str
    model_seq_id: int
    base_model: str
    user_metadata: dict[str, str] | None = None
    lora_config: LoraConfig | None = None
    optimizer_config: OptimizerConfig | None = None
    type_: Literal["create_model"] = "create_model"

    @property
    def type(self) -> Literal["create_model"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "session_id": self.session_id,
            "model_seq_id": self.model_seq_id,
            "base_model": self.base_model,
            "type": self.type_,
        }
        if self.user_metadata is not None:
            result["user_metadata"] = self.user_metadata
        if self.lora_config is not None:
            result["lora_config"] = self.lora_config.to_dict()
        if self.optimizer_config is not None:
            result["optimizer_config"] = self.optimizer_config.to_dict()
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            session_id=required(data, "session_id", string),
            model_seq_id=required(data, "model_seq_id", integer),
            base_model=required(data, "base_model", string),
            user_metadata=optional(data, "user_metadata", _READ_USER_METADATA),
            lora_config=optional(data, "lora_config", LoraConfig.from_dict),
            optimizer_config=optional(data, "optimizer_config", OptimizerConfig.from_dict),
            type_=constant(data, "type", "create_model", required=False),
        )


_READ_USER_METADATA: Reader[dict[str, str]] = dict_of(string)
