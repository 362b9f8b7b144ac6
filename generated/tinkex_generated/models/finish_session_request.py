# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, mapping, nullable, required, string
from ..record import Record
from .session_finish_reason import SessionFinishReason


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FinishSessionRequest(Record):
    """The client goes.

    Attributes:
        reason: Why.
        detail: More about it, for people. The key is always sent.
    """

    reason: SessionFinishReason
    detail: str | None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"reason": self.reason.to_dict(), "detail": self.detail}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            reason=required(data, "reason", SessionFinishReason.from_dict),
            detail=required(data, "detail", _READ_DETAIL),
        )


_READ_DETAIL: Reader[str | None] = nullable(string)
