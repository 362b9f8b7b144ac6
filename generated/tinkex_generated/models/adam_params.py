# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import mapping, number, optional
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class AdamParams(Record):
    """One step of AdamW: Adam with decoupled weight decay.

    Attributes:
        learning_rate: Step size.
        beta1: Decay of the mean of the gradient.
        beta2: Decay of the mean of its square.
        eps: Added to the denominator.
        weight_decay: Decoupled weight decay.
        grad_clip_norm: Clip the gradient to this norm first; 0 does not clip.
    """

    learning_rate: float = 0.0001
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-12
    weight_decay: float = 0.0
    grad_clip_norm: float = 0.0

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {}
        if self.learning_rate is not None:
            result["learning_rate"] = self.learning_rate
        if self.beta1 is not None:
            result["beta1"] = self.beta1
        if self.beta2 is not None:
            result["beta2"] = self.beta2
        if self.eps is not None:
            result["eps"] = self.eps
        if self.weight_decay is not None:
            result["weight_decay"] = self.weight_decay
        if self.grad_clip_norm is not None:
            result["grad_clip_norm"] = self.grad_clip_norm
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            learning_rate=optional(data, "learning_rate", number, 0.0001),
            beta1=optional(data, "beta1", number, 0.9),
            beta2=optional(data, "beta2", number, 0.95),
            eps=optional(data, "eps", number, 1e-12),
            weight_decay=optional(data, "weight_decay", number, 0.0),
            grad_clip_norm=optional(data, "grad_clip_norm", number, 0.0),
        )
