# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, mapping, number, optional, required
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class DimuonParams(Record):
    """One step of the dimuon optimizer.

    Attributes:
        type_: Names the optimizer.
        learning_rate: Step size.
        grad_clip_norm: Clip the gradient to this norm first; 0 or less does not clip.
        beta1: Momentum.
    """

    type_: Literal["dimuon"] = "dimuon"
    learning_rate: float
    grad_clip_norm: float = 0.0
    beta1: float = 0.9

    @property
    def type(self) -> Literal["dimuon"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"type": self.type_, "learning_rate": self.learning_rate}
        if self.grad_clip_norm is not None:
            result["grad_clip_norm"] = self.grad_clip_norm
        if self.beta1 is not None:
            result["beta1"] = self.beta1
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            type_=constant(data, "type", "dimuon", required=True),
            learning_rate=required(data, "learning_rate", number),
            grad_clip_norm=optional(data, "grad_clip_norm", number, 0.0),
            beta1=optional(data, "beta1", number, 0.9),
        )
