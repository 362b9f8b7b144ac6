# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import Reader, constant, mapping, required, string, tagged
from ..record import Record
from .request_failure import RequestFailure
from .sampling_session_failure import SamplingSessionFailure
from .training_run_failure import TrainingRunFailure


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FailedStatus(Record):
    """The session failed.

    Attributes:
        type_: Kind of status.
        category: `user` or `internal`.
        message: What went wrong.
        reason: What failed.
    """

    type_: Literal["failed"] = "failed"
    category: str
    message: str
    reason: RequestFailure | TrainingRunFailure | SamplingSessionFailure

    @property
    def type(self) -> Literal["failed"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "type": self.type_,
            "category": self.category,
            "message": self.message,
            "reason": self.reason.to_dict(),
        }
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            type_=constant(data, "type", "failed", required=True),
            category=required(data, "category", string),
            message=required(data, "message", string),
            reason=required(data, "reason", _READ_REASON),
        )


_READ_REASON: Reader[RequestFailure | TrainingRunFailure | SamplingSessionFailure] = tagged(
    "type",
    {
        "request": RequestFailure.from_dict,
        "training_run": TrainingRunFailure.from_dict,
        "sampling_session": SamplingSessionFailure.from_dict,
    },
)
