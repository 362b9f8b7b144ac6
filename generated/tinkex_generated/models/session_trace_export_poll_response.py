# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import enum, mapping, optional, required, string
from ..record import Record
from .trace_export_status import TraceExportStatus


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SessionTraceExportPollResponse(Record):
    """How far the export is.

    Attributes:
        status: How far it is.
        url: When ready: signed URL of a Perfetto trace file, good for about an hour.
        error: When failed: why.
    """

    status: TraceExportStatus
    url: str | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"status": self.status}
        if self.url is not None:
            result["url"] = self.url
        if self.error is not None:
            result["error"] = self.error
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            status=required(data, "status", enum),
            url=optional(data, "url", string),
            error=optional(data, "error", string),
        )
