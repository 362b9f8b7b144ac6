# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import (
    Reader,
    boolean,
    constant,
    dict_of,
    integer,
    mapping,
    optional,
    required,
    string,
)
from ..record import Record
from .optimizer_config import OptimizerConfig


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LoadWeightsRequest(Record):
    """Load a training checkpoint: into a fresh model (`model_id`, as its first request, with
    `seq_id` 1), or into a model that this request creates (`session_id` and `model_seq_id`).
    Give exactly one of the two pairs.

    Attributes:
        path: The checkpoint: `tinker://<training_run_id>/weights/<name>`.
        optimizer: Load the optimizer state too, rather than start it afresh.
        model_id: The fresh model.
        seq_id: Place of this request in the model's own sequence, from 1 (0 stands for the
            creation of the model).
        session_id: Session of the model to create.
        model_seq_id: Number of the model to create in its session.
        base_model: Base model of the model to create. Null: that of the checkpoint.
        user_metadata: Free labels of the caller, kept as they are and given back.
        optimizer_config: Optimizer of the model to create.
        weights_access_token: Credential of the account that owns the checkpoint, where it is
            another's.
        type_: Names the kind of object. May be left out.
    """

    path: str
    optimizer: bool
    model_id: str | None = None
    seq_id: int | None = None
    session_id: str | None = None
    model_seq_id: int | None = None
    base_model: str | None = None
    user_metadata: dict[str, str] | None = None
    optimizer_config: OptimizerConfig | None = None
    weights_access_token: str | None = attrs.field(default=None, repr=False)
    type_: Literal["load_weights"] = "load_weights"

    @property
    def type(self) -> Literal["load_weights"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "path": self.path,
            "optimizer": self.optimizer,
            "type": self.type_,
        }
        if self.model_id is not None:
            result["model_id"] = self.model_id
        if self.seq_id is not None:
            result["seq_id"] = self.seq_id
        if self.session_id is not None:
            result["session_id"] = self.session_id
        if self.model_seq_id is not None:
            result["model_seq_id"] = self.model_seq_id
        if self.base_model is not None:
            result["base_model"] = self.base_model
        if self.user_metadata is not None:
            result["user_metadata"] = self.user_metadata
        if self.optimizer_config is not None:
            result["optimizer_config"] = self.optimizer_config.to_dict()
        if self.weights_access_token is not None:
            result["weights_access_token"] = self.weights_access_token
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            path=required(data, "path", string),
            optimizer=required(data, "optimizer", boolean),
            model_id=optional(data, "model_id", string),
            seq_id=optional(data, "seq_id", integer),
            session_id=optional(data, "session_id", string),
            model_seq_id=optional(data, "model_seq_id", integer),
            base_model=optional(data, "base_model", string),
            user_metadata=optional(data, "user_metadata", _READ_USER_METADATA),
            optimizer_config=optional(data, "optimizer_config", OptimizerConfig.from_dict),
            weights_access_token=optional(data, "weights_access_token", string),
            type_=constant(data, "type", "load_weights", required=False),
        )


_READ_USER_METADATA: Reader[dict[str, str]] = dict_of(string)
