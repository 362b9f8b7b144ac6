# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, mapping, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RequestFailure(Record):
    """A request failed the session.

    Attributes:
        type_: Kind of cause.
        request_id: The request.
        request_type: What it was.
    """

    type_: Literal["request"] = "request"
    request_id: str
    request_type: str

    @property
    def type(self) -> Literal["request"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "type": self.type_,
            "request_id": self.request_id,
            "request_type": self.request_type,
        }
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            type_=constant(data, "type", "request", required=True),
            request_id=required(data, "request_id", string),
            request_type=required(data, "request_type", string),
        )
