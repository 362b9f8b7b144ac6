# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, integer, mapping, required
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class TrainingUsage(Record):
    """Tokens trained on.

    Attributes:
        type_: Kind of usage.
        token_count: How many.
    """

    type_: Literal["training"] = "training"
    token_count: int

    @property
    def type(self) -> Literal["training"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"type": self.type_, "token_count": self.token_count}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            type_=constant(data, "type", "training", required=True),
            token_count=required(data, "token_count", integer),
        )
