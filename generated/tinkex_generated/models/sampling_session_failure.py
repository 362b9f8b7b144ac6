# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, mapping, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SamplingSessionFailure(Record):
    """A sampling session failed the session.

    Attributes:
        type_: Kind of cause.
        sampling_session_id: The sampling session.
    """

    type_: Literal["sampling_session"] = "sampling_session"
    sampling_session_id: str

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
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            type_=constant(data, "type", "sampling_session", required=True),
            sampling_session_id=required(data, "sampling_session_id", string),
        )
