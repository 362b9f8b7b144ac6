# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, mapping, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CreateModelResponse(Record):
    """The model is ready.

    Attributes:
        model_id: Its id, also its training_run_id. Opaque, may hold colons.
        type_: Names the kind of object. May be left out.
    """

    model_id: str
    type_: Literal["create_model"] = "create_model"

    @property
    def type(self) -> Literal["create_model"]:
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
            type_=constant(data, "type", "create_model", required=False),
        )
