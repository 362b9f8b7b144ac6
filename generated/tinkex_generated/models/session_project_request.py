# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import mapping, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SessionProjectRequest(Record):
    """Where a session goes.

    Attributes:
        project_id: The project; it cannot be taken away again, only changed.
    """

    project_id: str

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"project_id": self.project_id}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(project_id=required(data, "project_id", string))
