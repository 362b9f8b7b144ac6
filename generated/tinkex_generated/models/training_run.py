# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import (
    Reader,
    boolean,
    date_time,
    dict_of,
    integer,
    mapping,
    optional,
    required,
    string,
)
from ..record import Record
from ..types import date_time_text
from .checkpoint import Checkpoint


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TrainingRun(Record):
    """A model that is or was trained.

    Attributes:
        training_run_id: Its id, the model_id.
        base_model: Its base model.
        model_owner: Its owner.
        is_lora: Whether it is an adapter.
        last_request_time: When it was last used.
        corrupted: Whether it broke and cannot be trained further.
        lora_rank: Its rank.
        last_checkpoint: Its newest training checkpoint.
        last_sampler_checkpoint: Its newest sampler checkpoint.
        user_metadata: Free labels of the caller, kept as they are and given back.
        display_name: Name for people, that of the run's session. The local server alone sends
            it.
        status: `running`, `ended` (its session was finished by the client, or the model was
            unloaded) or `lost` (the session fell silent, or its server stopped; what was not saved
            is gone).
    """

    training_run_id: str
    base_model: str
    model_owner: str
    is_lora: bool
    last_request_time: datetime.datetime
    corrupted: bool = False
    lora_rank: int | None = None
    last_checkpoint: Checkpoint | None = None
    last_sampler_checkpoint: Checkpoint | None = None
    user_metadata: dict[str, str] | None = None
    display_name: str | None = None
    status: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "training_run_id": self.training_run_id,
            "base_model": self.base_model,
            "model_owner": self.model_owner,
            "is_lora": self.is_lora,
            "last_request_time": date_time_text(self.last_request_time),
        }
        if self.corrupted is not None:
            result["corrupted"] = self.corrupted
        if self.lora_rank is not None:
            result["lora_rank"] = self.lora_rank
        if self.last_checkpoint is not None:
            result["last_checkpoint"] = self.last_checkpoint.to_dict()
        if self.last_sampler_checkpoint is not None:
            result["last_sampler_checkpoint"] = self.last_sampler_checkpoint.to_dict()
        if self.user_metadata is not None:
            result["user_metadata"] = self.user_metadata
        if self.display_name is not None:
            result["display_name"] = self.display_name
        if self.status is not None:
            result["status"] = self.status
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            training_run_id=required(data, "training_run_id", string),
            base_model=required(data, "base_model", string),
            model_owner=required(data, "model_owner", string),
            is_lora=required(data, "is_lora", boolean),
            last_request_time=required(data, "last_request_time", date_time),
            corrupted=optional(data, "corrupted", boolean, False),
            lora_rank=optional(data, "lora_rank", integer),
            last_checkpoint=optional(data, "last_checkpoint", Checkpoint.from_dict),
            last_sampler_checkpoint=optional(data, "last_sampler_checkpoint", Checkpoint.from_dict),
            user_metadata=optional(data, "user_metadata", _READ_USER_METADATA),
            display_name=optional(data, "display_name", string),
            status=optional(data, "status", string),
        )


_READ_USER_METADATA: Reader[dict[str, str]] = dict_of(string)
