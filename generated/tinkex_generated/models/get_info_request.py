# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, mapping, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class GetInfoRequest(Record):
    """Which model.

    Attributes:
        model_id: The model.
        type_: Names the kind of object. May be left out.
    """

    model_id: str
    type_: Literal["get_info"] = "get_info"

    @property
    def type(self) -> Literal["get_info"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"model_id": self.model_id, "type": self.type_}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            model_id=required(data, "model_id", string),
            type_=constant(data, "type", "get_info", required=False),
        )
