# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import boolean, constant, mapping, number, optional, required
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class StorageUsage(Record):
    """Storage of checkpoints. It costs the rate times the gigabyte-hours, divided by 720.

    Attributes:
        type_: Kind of usage.
        gigabyte_hours: How much.
        free: Whether it was free of charge.
    """

    type_: Literal["storage"] = "storage"
    gigabyte_hours: float
    free: bool = False

    @property
    def type(self) -> Literal["storage"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"type": self.type_, "gigabyte_hours": self.gigabyte_hours}
        if self.free is not None:
            result["free"] = self.free
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            type_=constant(data, "type", "storage", required=True),
            gigabyte_hours=required(data, "gigabyte_hours", number),
            free=optional(data, "free", boolean, False),
        )
