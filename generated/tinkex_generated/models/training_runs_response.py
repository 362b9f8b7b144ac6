# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, list_of, mapping, required
from ..record import Record
from .cursor import Cursor
from .training_run import TrainingRun


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TrainingRunsResponse(Record):
    """Training runs, newest first.

    Attributes:
        training_runs: The page.
        cursor: Place of the page.
    """

    training_runs: list[TrainingRun]
    cursor: Cursor

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "training_runs": [item.to_dict() for item in self.training_runs],
            "cursor": self.cursor.to_dict(),
        }
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            training_runs=required(data, "training_runs", _READ_TRAINING_RUNS),
            cursor=required(data, "cursor", Cursor.from_dict),
        )


_READ_TRAINING_RUNS: Reader[list[TrainingRun]] = list_of(TrainingRun.from_dict)
