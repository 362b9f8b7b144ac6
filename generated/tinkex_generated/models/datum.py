# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, dict_of, mapping, required
from ..record import Record
from .model_input import ModelInput
from .tensor_data import TensorData


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Datum(Record):
    """One training example.

    Attributes:
        model_input: What the model reads, N tokens.
        loss_fn_inputs: What the loss needs for each of the N positions.
    """

    model_input: ModelInput
    loss_fn_inputs: dict[str, TensorData]

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "model_input": self.model_input.to_dict(),
            "loss_fn_inputs": {key: item.to_dict() for key, item in self.loss_fn_inputs.items()},
        }
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            model_input=required(data, "model_input", ModelInput.from_dict),
            loss_fn_inputs=required(data, "loss_fn_inputs", _READ_LOSS_FN_INPUTS),
        )


_READ_LOSS_FN_INPUTS: Reader[dict[str, TensorData]] = dict_of(TensorData.from_dict)
