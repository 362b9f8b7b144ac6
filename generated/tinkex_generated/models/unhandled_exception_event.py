# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, date_time, enum, integer, mapping, optional, required, string
from ..record import Record
from ..types import date_time_text
from .severity import Severity


@attrs.frozen(kw_only=True, eq=False, repr=False)
class UnhandledExceptionEvent(Record):
    """A client ended by an error.

    Attributes:
        event: Kind of event.
        event_id: Unique id (a UUID).
        event_session_index: Number of the event in its session, from 0.
        severity: How grave it is.
        timestamp: When it happened.
        error_type: Name of the exception's class.
        error_message: Its message.
        traceback: Where it came from.
    """

    event: Literal["UNHANDLED_EXCEPTION"] = "UNHANDLED_EXCEPTION"
    event_id: str
    event_session_index: int
    severity: Severity
    timestamp: datetime.datetime
    error_type: str
    error_message: str
    traceback: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "event": self.event,
            "event_id": self.event_id,
            "event_session_index": self.event_session_index,
            "severity": self.severity,
            "timestamp": date_time_text(self.timestamp),
            "error_type": self.error_type,
            "error_message": self.error_message,
        }
        if self.traceback is not None:
            result["traceback"] = self.traceback
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            event=constant(data, "event", "UNHANDLED_EXCEPTION", required=True),
            event_id=required(data, "event_id", string),
            event_session_index=required(data, "event_session_index", integer),
            severity=required(data, "severity", enum),
            timestamp=required(data, "timestamp", date_time),
            error_type=required(data, "error_type", string),
            error_message=required(data, "error_message", string),
            traceback=optional(data, "traceback", string),
        )
