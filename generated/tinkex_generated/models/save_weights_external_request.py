# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import Reader, constant, integer, list_of, mapping, optional, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SaveWeightsExternalRequest(Record):
    """Export the weights as files to download.

    Attributes:
        model_id: The model.
        path: Name of the checkpoint.
        seq_id: Place of this request in the model's own sequence, from 1 (0 stands for the
            creation of the model).
        ttl_seconds: Seconds until the checkpoint is deleted, counted from now: between one hour
            and ten years. Null keeps it indefinitely.
        age_encryption_recipients: Encrypt each file for these age or SSH public keys; the files
            then end in `.age`.
        type_: Names the kind of object. May be left out.
    """

    model_id: str
    path: str
    seq_id: int | None = None
    ttl_seconds: int | None = None
    age_encryption_recipients: list[str] | None = None
    type_: Literal["save_weights_external"] = "save_weights_external"

    @property
    def type(self) -> Literal["save_weights_external"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"model_id": self.model_id, "path": self.path, "type": self.type_}
        if self.seq_id is not None:
            result["seq_id"] = self.seq_id
        if self.ttl_seconds is not None:
            result["ttl_seconds"] = self.ttl_seconds
        if self.age_encryption_recipients is not None:
            result["age_encryption_recipients"] = self.age_encryption_recipients
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            model_id=required(data, "model_id", string),
            path=required(data, "path", string),
            seq_id=optional(data, "seq_id", integer),
            ttl_seconds=optional(data, "ttl_seconds", integer),
            age_encryption_recipients=optional(
                data, "age_encryption_recipients", _READ_AGE_ENCRYPTION_RECIPIENTS
            ),
            type_=constant(data, "type", "save_weights_external", required=False),
        )


_READ_AGE_ENCRYPTION_RECIPIENTS: Reader[list[str]] = list_of(string)
