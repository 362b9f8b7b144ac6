# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import Reader, constant, enum, list_of, mapping, optional
from ..record import Record
from .session_end_reason import SessionEndReason


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ClientFinishedQuery(Record):
    """Sessions that their client finished.

    Attributes:
        type_: Kind of status.
        reasons: Only those that ended so. Null: any.
    """

    type_: Literal["client_finished"] = "client_finished"
    reasons: list[SessionEndReason] | None = None

    @property
    def type(self) -> Literal["client_finished"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"type": self.type_}
        if self.reasons is not None:
            result["reasons"] = self.reasons
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            type_=constant(data, "type", "client_finished", required=True),
            reasons=optional(data, "reasons", _READ_REASONS),
        )


_READ_REASONS: Reader[list[SessionEndReason]] = list_of(enum)
