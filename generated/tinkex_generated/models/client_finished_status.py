# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, mapping, optional, required, string
from ..record import Record
from .session_finish_reason import SessionFinishReason


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ClientFinishedStatus(Record):
    """The client finished the session.

    Attributes:
        type_: Kind of status.
        reason: How.
        detail: More about it.
    """

    type_: Literal["client_finished"] = "client_finished"
    reason: SessionFinishReason
    detail: str | None = None

    @property
    def type(self) -> Literal["client_finished"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"type": self.type_, "reason": self.reason.to_dict()}
        if self.detail is not None:
            result["detail"] = self.detail
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            type_=constant(data, "type", "client_finished", required=True),
            reason=required(data, "reason", SessionFinishReason.from_dict),
            detail=optional(data, "detail", string),
        )
