# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, integer, mapping, optional, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CreateSamplingSessionRequest(Record):
    """A sampling session: fixed weights to sample from. Give exactly one of `base_model` and
    `model_path`.

    Attributes:
        session_id: The session it belongs to.
        sampling_session_seq_id: Number of the sampling session in its session, from 0, chosen
            by the client. A repeat with the same body gets the same sampling session.
        base_model: Sample from this base model as it is.
        model_path: Sample from this checkpoint:
            `tinker://<training_run_id>/sampler_weights/<name>`.
        type_: Names the kind of object. May be left out.
    """

    session_id: str
    sampling_session_seq_id: int
    base_model: str | None = None
    model_path: str | None = None
    type_: Literal["create_sampling_session"] = "create_sampling_session"

    @property
    def type(self) -> Literal["create_sampling_session"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "session_id": self.session_id,
            "sampling_session_seq_id": self.sampling_session_seq_id,
            "type": self.type_,
        }
        if self.base_model is not None:
            result["base_model"] = self.base_model
        if self.model_path is not None:
            result["model_path"] = self.model_path
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            session_id=required(data, "session_id", string),
            sampling_session_seq_id=required(data, "sampling_session_seq_id", integer),
            base_model=optional(data, "base_model", string),
            model_path=optional(data, "model_path", string),
            type_=constant(data, "type", "create_sampling_session", required=False),
        )
