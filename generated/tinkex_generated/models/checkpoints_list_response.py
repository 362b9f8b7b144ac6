# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, list_of, mapping, optional, required
from ..record import Record
from .checkpoint import Checkpoint
from .cursor import Cursor


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CheckpointsListResponse(Record):
    """Checkpoints, newest first.

    Attributes:
        checkpoints: The page.
        cursor: Place of the page. Null: these are all.
    """

    checkpoints: list[Checkpoint]
    cursor: Cursor | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"checkpoints": [item.to_dict() for item in self.checkpoints]}
        if self.cursor is not None:
            result["cursor"] = self.cursor.to_dict()
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            checkpoints=required(data, "checkpoints", _READ_CHECKPOINTS),
            cursor=optional(data, "cursor", Cursor.from_dict),
        )


_READ_CHECKPOINTS: Reader[list[Checkpoint]] = list_of(Checkpoint.from_dict)
