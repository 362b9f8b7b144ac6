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


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SaveWeightsRequest(Record):
    """Keep weights and optimizer state as a training checkpoint.

    Attributes:
        model_id: The model.
        path: Name of the checkpoint (a name, not a tinker path). Null: chosen by the server.
        seq_id: Place of this request in the model's own sequence, from 1 (0 stands for the
            creation of the model).
        ttl_seconds: Seconds until the checkpoint is deleted, counted from now: between one hour
            and ten years. Null keeps it indefinitely.
        overwrite: Replace a checkpoint of that name, labels included, instead of refusing the
            request.
        user_metadata: Free labels of the caller, kept as they are and given back.
        type_: Names the kind of object. May be left out.
    """

    model_id: str
    path: str | None = None
    seq_id: int | None = None
    ttl_seconds: int | None = None
    overwrite: bool = False
    user_metadata: dict[str, str] | None = None
    type_: Literal["save_weights"] = "save_weights"

    @property
    def type(self) -> Literal["save_weights"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"model_id": self.model_id, "type": self.type_}
        if self.path is not None:
            result["path"] = self.path
        if self.seq_id is not None:
            result["seq_id"] = self.seq_id
        if self.ttl_seconds is not None:
            result["ttl_seconds"] = self.ttl_seconds
        if self.overwrite is not None:
            result["overwrite"] = self.overwrite
        if self.user_metadata is not None:
            result["user_metadata"] = self.user_metadata
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            model_id=required(data, "model_id", string),
            path=optional(data, "path", string),
            seq_id=optional(data, "seq_id", integer),
            ttl_seconds=optional(data, "ttl_seconds", integer),
            overwrite=optional(data, "overwrite", boolean, False),
            user_metadata=optional(data, "user_metadata", _READ_USER_METADATA),
            type_=constant(data, "type", "save_weights", required=False),
        )


_READ_USER_METADATA: Reader[dict[str, str]] = dict_of(string)
