# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, list_of, mapping, required
from ..record import Record
from .audit_log_entry import AuditLogEntry


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AuditLogResponse(Record):
    """The events of one day.

    Attributes:
        entries: The events.
    """

    entries: list[AuditLogEntry]

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"entries": [item.to_dict() for item in self.entries]}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(entries=required(data, "entries", _READ_ENTRIES))


_READ_ENTRIES: Reader[list[AuditLogEntry]] = list_of(AuditLogEntry.from_dict)
