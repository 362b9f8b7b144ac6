# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, integer, mapping, optional, required, string
from ..record import Record
from .adam_params import AdamParams
from .dimuon_params import DimuonParams


@attrs.frozen(kw_only=True, eq=False, repr=False)
class OptimStepRequest(Record):
    """Change the weights by the gradients held, then clear them. Give exactly one of `adam_params`
    and `optimizer_params`.

    Attributes:
        model_id: The model.
        seq_id: Place of this request in the model's own sequence, from 1 (0 stands for the
            creation of the model).
        adam_params: Settings of this step, for `adamw`.
        optimizer_params: Settings of this step, for any other optimizer.
        type_: Names the kind of object. May be left out.
    """

    model_id: str
    seq_id: int | None = None
    adam_params: AdamParams | None = None
    optimizer_params: DimuonParams | None = None
    type_: Literal["optim_step"] = "optim_step"

    @property
    def type(self) -> Literal["optim_step"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"model_id": self.model_id, "type": self.type_}
        if self.seq_id is not None:
            result["seq_id"] = self.seq_id
        if self.adam_params is not None:
            result["adam_params"] = self.adam_params.to_dict()
        if self.optimizer_params is not None:
            result["optimizer_params"] = self.optimizer_params.to_dict()
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            model_id=required(data, "model_id", string),
            seq_id=optional(data, "seq_id", integer),
            adam_params=optional(data, "adam_params", AdamParams.from_dict),
            optimizer_params=optional(data, "optimizer_params", DimuonParams.from_dict),
            type_=constant(data, "type", "optim_step", required=False),
        )
