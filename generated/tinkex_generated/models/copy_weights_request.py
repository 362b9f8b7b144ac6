# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import integer, mapping, optional, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CopyWeightsRequest(Record):
    """Copy a checkpoint, also from another account, into a new training run. Give `session_id` and
    `model_seq_id`, or `destination_project_id`.

    Attributes:
        source_path: The checkpoint to copy.
        session_id: Session of the new run.
        model_seq_id: Number of the new run in its session.
        destination_project_id: Project of the new run.
        ttl_seconds: Seconds until the checkpoint is deleted, counted from now: between one hour
            and ten years. Null keeps it indefinitely.
        weights_access_token: Credential of the account that owns the source. Newer clients send
            it in the header X-Tinker-Weights-Access-Token.
    """

    source_path: str
    session_id: str | None = None
    model_seq_id: int | None = None
    destination_project_id: str | None = None
    ttl_seconds: int | None = None
    weights_access_token: str | None = attrs.field(default=None, repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"source_path": self.source_path}
        if self.session_id is not None:
            result["session_id"] = self.session_id
        if self.model_seq_id is not None:
            result["model_seq_id"] = self.model_seq_id
        if self.destination_project_id is not None:
            result["destination_project_id"] = self.destination_project_id
        if self.ttl_seconds is not None:
            result["ttl_seconds"] = self.ttl_seconds
        if self.weights_access_token is not None:
            result["weights_access_token"] = self.weights_access_token
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            source_path=required(data, "source_path", string),
            session_id=optional(data, "session_id", string),
            model_seq_id=optional(data, "model_seq_id", integer),
            destination_project_id=optional(data, "destination_project_id", string),
            ttl_seconds=optional(data, "ttl_seconds", integer),
            weights_access_token=optional(data, "weights_access_token", string),
        )
