# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import integer, mapping, optional, required, string
from ..record import Record
from .forward_backward_input import ForwardBackwardInput


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ForwardRequest(Record):
    """A forward pass; gradients are left alone.

    Attributes:
        forward_input: Data and loss.
        model_id: The model.
        seq_id: Place of this request in the model's own sequence, from 1 (0 stands for the
            creation of the model).
    """

    forward_input: ForwardBackwardInput
    model_id: str
    seq_id: int | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "forward_input": self.forward_input.to_dict(),
            "model_id": self.model_id,
        }
        if self.seq_id is not None:
            result["seq_id"] = self.seq_id
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            forward_input=required(data, "forward_input", ForwardBackwardInput.from_dict),
            model_id=required(data, "model_id", string),
            seq_id=optional(data, "seq_id", integer),
        )
