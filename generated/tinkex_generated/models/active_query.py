# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, mapping
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ActiveQuery(Record):
    """Sessions that still run.

    Attributes:
        type_: Kind of status.
    """

    type_: Literal["active"] = "active"

    @property
    def type(self) -> Literal["active"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"type": self.type_}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(type_=constant(data, "type", "active", required=True))
