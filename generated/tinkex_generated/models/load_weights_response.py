# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, mapping, optional, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class LoadWeightsResponse(Record):
    """The checkpoint is loaded.

    Attributes:
        path: The checkpoint.
        model_id: The model, when the request created it.
        type_: Names the kind of object. May be left out.
    """

    path: str | None = None
    model_id: str | None = None
    type_: Literal["load_weights"] = "load_weights"

    @property
    def type(self) -> Literal["load_weights"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"type": self.type_}
        if self.path is not None:
            result["path"] = self.path
        if self.model_id is not None:
            result["model_id"] = self.model_id
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            path=optional(data, "path", string),
            model_id=optional(data, "model_id", string),
            type_=constant(data, "type", "load_weights", required=False),
        )
