# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import date_time, mapping, required, string
from ..record import Record
from ..types import date_time_text


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SessionSearchCursor(Record):
    """Where the next page starts.

    Attributes:
        last_created_at: Time of the last session seen, with its zone.
        last_session_id: Id of the last session seen.
    """

    last_created_at: datetime.datetime
    last_session_id: str

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "last_created_at": date_time_text(self.last_created_at),
            "last_session_id": self.last_session_id,
        }
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            last_created_at=required(data, "last_created_at", date_time),
            last_session_id=required(data, "last_session_id", string),
        )
