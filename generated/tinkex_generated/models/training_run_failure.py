# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, mapping, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TrainingRunFailure(Record):
    """A training run failed the session.

    Attributes:
        type_: Kind of cause.
        training_run_id: The run.
    """

    type_: Literal["training_run"] = "training_run"
    training_run_id: str

    @property
    def type(self) -> Literal["training_run"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"type": self.type_, "training_run_id": self.training_run_id}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            type_=constant(data, "type", "training_run", required=True),
            training_run_id=required(data, "training_run_id", string),
        )
