# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, mapping, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FailedCompletion(Record):
    """A promise that failed.

    Attributes:
        state: Kind of completion.
        request_id: The promise.
    """

    state: Literal["failed"] = "failed"
    request_id: str

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"state": self.state, "request_id": self.request_id}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            state=constant(data, "state", "failed", required=True),
            request_id=required(data, "request_id", string),
        )
