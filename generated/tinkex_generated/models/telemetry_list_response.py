# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, list_of, mapping, required
from ..record import Record
from .cursor import Cursor
from .telemetry_record import TelemetryRecord


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TelemetryListResponse(Record):
    """A page of events.

    Attributes:
        events: The events.
        cursor: Place of the page.
    """

    events: list[TelemetryRecord]
    cursor: Cursor

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "events": [item.to_dict() for item in self.events],
            "cursor": self.cursor.to_dict(),
        }
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            events=required(data, "events", _READ_EVENTS),
            cursor=required(data, "cursor", Cursor.from_dict),
        )


_READ_EVENTS: Reader[list[TelemetryRecord]] = list_of(TelemetryRecord.from_dict)
