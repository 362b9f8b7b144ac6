# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, list_of, mapping, optional, required, string, tagged
from ..record import Record
from .generic_event import GenericEvent
from .session_end_event import SessionEndEvent
from .session_start_event import SessionStartEvent
from .unhandled_exception_event import UnhandledExceptionEvent


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TelemetrySendRequest(Record):
    """A batch of events; clients send at most 100 at a time.

    Attributes:
        events: The events.
        platform: Operating system of the client, such as `Linux`.
        sdk_version: Version of the client.
        session_id: The session, or `sessionless-` and a UUID.
        process_uuid: One UUID per process. Older clients leave it out.
    """

    events: list[GenericEvent | SessionStartEvent | SessionEndEvent | UnhandledExceptionEvent]
    platform: str
    sdk_version: str
    session_id: str
    process_uuid: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "events": [item.to_dict() for item in self.events],
            "platform": self.platform,
            "sdk_version": self.sdk_version,
            "session_id": self.session_id,
        }
        if self.process_uuid is not None:
            result["process_uuid"] = self.process_uuid
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            events=required(data, "events", _READ_EVENTS),
            platform=required(data, "platform", string),
            sdk_version=required(data, "sdk_version", string),
            session_id=required(data, "session_id", string),
            process_uuid=optional(data, "process_uuid", string),
        )


_READ_EVENTS: Reader[
    list[GenericEvent | SessionStartEvent | SessionEndEvent | UnhandledExceptionEvent]
] = list_of(
    tagged(
        "event",
        {
            "GENERIC_EVENT": GenericEvent.from_dict,
            "SESSION_START": SessionStartEvent.from_dict,
            "SESSION_END": SessionEndEvent.from_dict,
            "UNHANDLED_EXCEPTION": UnhandledExceptionEvent.from_dict,
        },
    )
)
