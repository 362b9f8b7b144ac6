# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, integer, mapping, required
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FutureMetadataResponse(Record):
    """Done, but the result is large and the request allowed this short answer: ask again with
    `allow_metadata_only` false.

    Attributes:
        status: Tells this answer from a result.
        response_payload_size: Size of the result in bytes.
    """

    status: Literal["complete_metadata"] = "complete_metadata"
    response_payload_size: int

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "status": self.status,
            "response_payload_size": self.response_payload_size,
        }
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            status=constant(data, "status", "complete_metadata", required=True),
            response_payload_size=required(data, "response_payload_size", integer),
        )
