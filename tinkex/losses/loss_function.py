"""The signature of a custom loss, and the result of evaluating it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt
from attrs import frozen

from tinkex.errors import ValidationError

FloatArray = npt.NDArray[np.float64]
Backend = Literal["explicit", "autograd", "torch", "jax"]
BACKENDS: tuple[Backend, ...] = ("explicit", "autograd", "torch", "jax")

LossFunction = Callable[[Any, Any], Any]
"""A function of (data, logprobs) that returns (loss, metrics) or (loss, metrics, gradients)."""


@frozen
class RawResult:
    """The result of a backend; a gradient is None where the loss ignores the input."""

    loss: Any
    metrics: Mapping[str, Any]
    gradients: Sequence[Any]


def unpack(result: Any) -> tuple[Any, Mapping[str, Any], Any]:
    """Return loss, metrics and gradients (or None) from a loss function's result."""
    loss, metrics, gradients = result, {}, None
    if isinstance(result, tuple):
        if len(result) not in (2, 3):
            raise ValidationError(
                f"returned {len(result)} values; it must return (loss, metrics) or "
                "(loss, metrics, gradients)",
                path="loss_fn",
            )
        loss, metrics = result[0], result[1]
        gradients = result[2] if len(result) == 3 else None
    if not isinstance(metrics, Mapping):
        raise ValidationError(
            f"returned metrics of type {type(metrics).__name__}; they must be a dict of numbers",
            path="loss_fn",
        )
    return loss, metrics, gradients
