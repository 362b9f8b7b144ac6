# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import integer, mapping, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CustomLossInput(Record):
    """An input of a custom loss.

    Attributes:
        name: Its name. `logprobs` comes first and has rank 1 or 2.
        rank: 0 for a scalar, 1 for [T], 2 for [T, K].
    """

    name: str
    rank: int

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"name": self.name, "rank": self.rank}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(name=required(data, "name", string), rank=required(data, "rank", integer))
