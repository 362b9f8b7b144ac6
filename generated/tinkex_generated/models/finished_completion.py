# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, integer, mapping, optional, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FinishedCompletion(Record):
    """A promise with a result.

    Attributes:
        state: Kind of completion.
        request_id: The promise.
        response_payload_uncompressed_size: Size of the result in bytes.
    """

    state: Literal["finished"] = "finished"
    request_id: str
    response_payload_uncompressed_size: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"state": self.state, "request_id": self.request_id}
        if self.response_payload_uncompressed_size is not None:
            result["response_payload_uncompressed_size"] = self.response_payload_uncompressed_size
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            state=constant(data, "state", "finished", required=True),
            request_id=required(data, "request_id", string),
            response_payload_uncompressed_size=optional(
                data, "response_payload_uncompressed_size", integer
            ),
        )
