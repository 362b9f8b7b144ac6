# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, list_of, mapping, optional, required
from ..record import Record
from .session_search_cursor import SessionSearchCursor
from .session_summary import SessionSummary


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SessionSearchResponse(Record):
    """One page of sessions, newest first.

    Attributes:
        sessions: The page.
        next_cursor: Where the next page starts. Null: this was the last.
    """

    sessions: list[SessionSummary]
    next_cursor: SessionSearchCursor | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"sessions": [item.to_dict() for item in self.sessions]}
        if self.next_cursor is not None:
            result["next_cursor"] = self.next_cursor.to_dict()
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            sessions=required(data, "sessions", _READ_SESSIONS),
            next_cursor=optional(data, "next_cursor", SessionSearchCursor.from_dict),
        )


_READ_SESSIONS: Reader[list[SessionSummary]] = list_of(SessionSummary.from_dict)
