# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, date_time, mapping, optional, required, string, tagged
from ..record import Record
from ..types import date_time_text
from .generic_event import GenericEvent
from .session_end_event import SessionEndEvent
from .session_start_event import SessionStartEvent
from .unhandled_exception_event import UnhandledExceptionEvent


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TelemetryRecord(Record):
    """An event, and the batch that it came in.

    Attributes:
        session_id: The session.
        received_at: When the server took it in.
        platform: Operating system of the client.
        sdk_version: Version of the client.
        event: The event.
        process_uuid: The client's process.
    """

    session_id: str
    received_at: datetime.datetime
    platform: str
    sdk_version: str
    event: GenericEvent | SessionStartEvent | SessionEndEvent | UnhandledExceptionEvent
    process_uuid: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "session_id": self.session_id,
            "received_at": date_time_text(self.received_at),
            "platform": self.platform,
            "sdk_version": self.sdk_version,
            "event": self.event.to_dict(),
        }
        if self.process_uuid is not None:
            result["process_uuid"] = self.process_uuid
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            session_id=required(data, "session_id", string),
            received_at=required(data, "received_at", date_time),
            platform=required(data, "platform", string),
            sdk_version=required(data, "sdk_version", string),
            event=required(data, "event", _READ_EVENT),
            process_uuid=optional(data, "process_uuid", string),
        )


_READ_EVENT: Reader[
    GenericEvent | SessionStartEvent | SessionEndEvent | UnhandledExceptionEvent
] = tagged(
    "event",
    {
        "GENERIC_EVENT": GenericEvent.from_dict,
        "SESSION_START": SessionStartEvent.from_dict,
        "SESSION_END": SessionEndEvent.from_dict,
        "UNHANDLED_EXCEPTION": UnhandledExceptionEvent.from_dict,
    },
)
