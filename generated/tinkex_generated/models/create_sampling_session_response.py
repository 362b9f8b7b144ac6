# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, mapping, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CreateSamplingSessionResponse(Record):
    """The sampling session is open.

    Attributes:
        sampling_session_id: Opaque id, chosen by the server; also the sampler_id of
            get_sampler.
        type_: Names the kind of object. May be left out.
    """

    sampling_session_id: str
    type_: Literal["create_sampling_session"] = "create_sampling_session"

    @property
    def type(self) -> Literal["create_sampling_session"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "sampling_session_id": self.sampling_session_id,
            "type": self.type_,
        }
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            sampling_session_id=required(data, "sampling_session_id", string),
            type_=constant(data, "type", "create_sampling_session", required=False),
        )
