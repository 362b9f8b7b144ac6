# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, dict_of, list_of, mapping, number, optional, required, string
from ..record import Record
from .tensor_data import TensorData


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ForwardBackwardOutput(Record):
    """Result of forward and forward_backward.

    Attributes:
        loss_fn_output_type: Names the kind of `loss_fn_outputs`, such as `TorchLossReturn` or
            `ArrayRecord`.
        loss_fn_outputs: One per datum, in order.
        metrics: Numbers about the whole pass. Servers that leave out `loss:sum` have
            `elementwise_loss` among the outputs of each datum, or its log-probabilities alone.
    """

    loss_fn_output_type: str
    loss_fn_outputs: list[dict[str, TensorData]]
    metrics: dict[str, float] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "loss_fn_output_type": self.loss_fn_output_type,
            "loss_fn_outputs": [
                {key: item1.to_dict() for key, item1 in item.items()}
                for item in self.loss_fn_outputs
            ],
        }
        if self.metrics is not None:
            result["metrics"] = self.metrics
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            loss_fn_output_type=required(data, "loss_fn_output_type", string),
            loss_fn_outputs=required(data, "loss_fn_outputs", _READ_LOSS_FN_OUTPUTS),
            metrics=optional(data, "metrics", _READ_METRICS),
        )


_READ_LOSS_FN_OUTPUTS: Reader[list[dict[str, TensorData]]] = list_of(dict_of(TensorData.from_dict))
_READ_METRICS: Reader[dict[str, float]] = dict_of(number)
