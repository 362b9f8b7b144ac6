# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, mapping, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SaveWeightsResponse(Record):
    """The checkpoint is kept.

    Attributes:
        path: `tinker://<model_id>/weights/<name>`.
        type_: Names the kind of object. May be left out.
    """

    path: str
    type_: Literal["save_weights"] = "save_weights"

    @property
    def type(self) -> Literal["save_weights"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"path": self.path, "type": self.type_}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            path=required(data, "path", string),
            type_=constant(data, "type", "save_weights", required=False),
        )
