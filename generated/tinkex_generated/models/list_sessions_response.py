# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, list_of, mapping, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ListSessionsResponse(Record):
    """Ids of sessions, newest first.

    Attributes:
        sessions: The ids. There is no cursor: go on until a page is short.
    """

    sessions: list[str]

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"sessions": self.sessions}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(sessions=required(data, "sessions", _READ_SESSIONS))


_READ_SESSIONS: Reader[list[str]] = list_of(string)
