# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import Reader, constant, dict_of, enum, integer, mapping, optional, required, string
from ..record import Record
from .sampling_client_kind import SamplingClientKind


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SaveWeightsForSamplerRequest(Record):
    """Keep the weights for sampling. Give `path` for a named checkpoint, or
    `sampling_session_seq_id` to open a sampling session on unnamed weights that live as long as
    the session.

    Attributes:
        model_id: The model.
        path: Name of the checkpoint (a name, not a tinker path).
        sampling_session_seq_id: Number of the sampling session in its session, from the same
            counter as create_sampling_session's.
        seq_id: Place of this request in the model's own sequence, from 1 (0 stands for the
            creation of the model).
        ttl_seconds: Named checkpoints: seconds until deletion, between one hour and ten years.
            Null keeps it for ever.
        user_metadata: Free labels of the caller, kept as they are and given back.
        kind: Sampling sessions: whether later saves change the weights.
        type_: Names the kind of object. May be left out.
    """

    model_id: str
    path: str | None = None
    sampling_session_seq_id: int | None = None
    seq_id: int | None = None
    ttl_seconds: int | None = None
    user_metadata: dict[str, str] | None = None
    kind: SamplingClientKind = "snapshot"
    type_: Literal["save_weights_for_sampler"] = "save_weights_for_sampler"

    @property
    def type(self) -> Literal["save_weights_for_sampler"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"model_id": self.model_id, "type": self.type_}
        if self.path is not None:
            result["path"] = self.path
        if self.sampling_session_seq_id is not None:
            result["sampling_session_seq_id"] = self.sampling_session_seq_id
        if self.seq_id is not None:
            result["seq_id"] = self.seq_id
        if self.ttl_seconds is not None:
            result["ttl_seconds"] = self.ttl_seconds
        if self.user_metadata is not None:
            result["user_metadata"] = self.user_metadata
        if self.kind is not None:
            result["kind"] = self.kind
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            model_id=required(data, "model_id", string),
            path=optional(data, "path", string),
            sampling_session_seq_id=optional(data, "sampling_session_seq_id", integer),
            seq_id=optional(data, "seq_id", integer),
            ttl_seconds=optional(data, "ttl_seconds", integer),
            user_metadata=optional(data, "user_metadata", _READ_USER_METADATA),
            kind=optional(data, "kind", enum, "snapshot"),
            type_=constant(data, "type", "save_weights_for_sampler", required=False),
        )


_READ_USER_METADATA: Reader[dict[str, str]] = dict_of(string)
