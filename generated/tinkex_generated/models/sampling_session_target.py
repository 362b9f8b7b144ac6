# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, integer, mapping, optional, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SamplingSessionTarget(Record):
    """The samples of one sampling session, for one clone of its client.

    Attributes:
        type_: Kind of target.
        sampling_session_id: The sampling session.
        cloned_sampler_id: Number of the clone; 0 is the original. Equal to a sample's seq_id
            divided by 10^9, rounded down.
    """

    type_: Literal["sampling_session"] = "sampling_session"
    sampling_session_id: str
    cloned_sampler_id: int = 0

    @property
    def type(self) -> Literal["sampling_session"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "type": self.type_,
            "sampling_session_id": self.sampling_session_id,
        }
        if self.cloned_sampler_id is not None:
            result["cloned_sampler_id"] = self.cloned_sampler_id
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            type_=constant(data, "type", "sampling_session", required=True),
            sampling_session_id=required(data, "sampling_session_id", string),
            cloned_sampler_id=optional(data, "cloned_sampler_id", integer, 0),
        )
