# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import date_time, mapping, optional, required, string
from ..record import Record
from ..types import date_time_text


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AuditLogEntry(Record):
    """One event.

    Attributes:
        timestamp: When.
        event: What: `<resource>_<action>`, such as `checkpoint_read`.
        event_details: Details. Missing: none.
        model_id: The model concerned.
        tinker_path: The checkpoint concerned.
        purpose: What for.
    """

    timestamp: datetime.datetime
    event: str
    event_details: dict[str, Any] | None = None
    model_id: str | None = None
    tinker_path: str | None = None
    purpose: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"timestamp": date_time_text(self.timestamp), "event": self.event}
        if self.event_details is not None:
            result["event_details"] = self.event_details
        if self.model_id is not None:
            result["model_id"] = self.model_id
        if self.tinker_path is not None:
            result["tinker_path"] = self.tinker_path
        if self.purpose is not None:
            result["purpose"] = self.purpose
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            timestamp=required(data, "timestamp", date_time),
            event=required(data, "event", string),
            event_details=optional(data, "event_details", mapping),
            model_id=optional(data, "model_id", string),
            tinker_path=optional(data, "tinker_path", string),
            purpose=optional(data, "purpose", string),
        )
