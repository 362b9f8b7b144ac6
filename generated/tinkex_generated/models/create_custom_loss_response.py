# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, mapping, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CreateCustomLossResponse(Record):
    """The loss is known.

    Attributes:
        loss_id: Goes into `loss_fn_config` of a forward_backward with loss `custom`.
        type_: Names the kind of object. May be left out.
    """

    loss_id: str
    type_: Literal["create_custom_loss"] = "create_custom_loss"

    @property
    def type(self) -> Literal["create_custom_loss"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"loss_id": self.loss_id, "type": self.type_}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            loss_id=required(data, "loss_id", string),
            type_=constant(data, "type", "create_custom_loss", required=False),
        )
