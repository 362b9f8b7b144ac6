"""A regularizer with its weight and its name."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import attrs
import numpy as np
from attrs import field, frozen

from tinkex.errors import ValidationError
from tinkex.losses import gradients
from tinkex.losses.loss_function import Backend, unpack
from tinkex.regularizers.base import FloatArray, Regularizer, to_arrays


def _check_fn(_: Any, __: Any, value: Any) -> None:
    if isinstance(value, type):
        raise ValidationError(
            f"is the class {value.__name__}: pass an instance, {value.__name__}()", path="fn"
        )
    if not callable(value) and not callable(getattr(value, "value", None)):
        raise ValidationError(
            f"must be a regularizer, or a function of (data, logprobs), not {type(value).__name__}",
            path="fn",
        )


def _check_weight(_: Any, __: Any, value: Any) -> None:
    number = isinstance(value, int | float | np.number) and not isinstance(value, bool)
    if not number or not math.isfinite(value) or value < 0:
        raise ValidationError(f"must be a non-negative number, not {value!r}", path="weight")


@frozen
class RegularizerSpec:
    """A regularizer with its weight in the loss and its name.

    >>> RegularizerSpec(L1(), weight=0.01).name
    'l1_sparsity'

    Attributes:
        fn: One of the eight classes; a custom object with ``value(logprobs, data)`` and optionally
            ``gradient(logprobs, data)`` and ``metrics(logprobs, data)``; or a function of (data, logprobs)
            that returns a number, (number, metrics) or (number, metrics, gradients). Without a gradient
            it is differentiated like a loss function.
        weight: The factor of its value; not negative.
        name: Its name in outputs, unique within a pipeline; the regularizer's own name by default.

    Raises:
        ValidationError: An argument is invalid.
    """

    fn: Any = field(validator=_check_fn)
    weight: float = field(default=1.0, validator=_check_weight)
    name: str = field(default="")

    def __attrs_post_init__(self) -> None:
        name = self.name
        if name == "":
            name = str(getattr(self.fn, "name", None) or getattr(self.fn, "__name__", ""))
            object.__setattr__(self, "name", name)
        if not isinstance(name, str) or not name:
            raise ValidationError("must be a non-empty string", path="name")

    def evaluate(
        self,
        data: Sequence[Any],
        logprobs: Any,
        *,
        with_gradient: bool,
        backend: Backend | None = None,
        timeout: float | None = None,
    ) -> Term:
        """Return the value, the metrics, and the gradient if requested."""
        if callable(getattr(self.fn, "value", None)):
            return self._of_object(data, logprobs, with_gradient, backend)
        if with_gradient:
            return differentiated(self.fn, data, logprobs, backend)
        return undifferentiated(self.fn, data, logprobs, timeout)

    def _of_object(
        self,
        data: Sequence[Any],
        logprobs: Any,
        with_gradient: bool,
        backend: Backend | None,
    ) -> Term:
        slope = None
        value: Any
        if with_gradient and isinstance(self.fn, Regularizer):
            value, found = self.fn.value_and_gradient(logprobs, data)
            slope = _arrays(found, logprobs)
        else:
            value = self.fn.value(logprobs, data)
            if with_gradient and callable(getattr(self.fn, "gradient", None)):
                slope = _arrays(self.fn.gradient(logprobs, data), logprobs)
        number = gradients.scalar(value, "fn")
        if with_gradient and slope is None:
            slope = differentiated(
                lambda d, x: self.fn.value(x, d), data, logprobs, backend or "autograd"
            ).gradients
        metrics = self.fn.metrics(logprobs, data) if hasattr(self.fn, "metrics") else {}
        return Term(number, dict(metrics), slope)


@frozen
class Term:
    """One term of a loss: value, metrics, and a gradient per datum if requested."""

    value: float
    metrics: Mapping[str, Any]
    gradients: list[FloatArray] | None


def differentiated(
    loss_fn: Any, data: Sequence[Any], logprobs: Any, backend: Backend | None
) -> Term:
    """Differentiate a loss function, with the log probabilities in their original form."""
    arrays, batch = to_arrays(logprobs)
    if batch:
        found = gradients.evaluate(loss_fn, data, arrays, backend)
    else:
        name = backend or gradients.detect_backend(loss_fn)
        found = gradients.evaluate(lambda d, x: loss_fn(d, x[0]), data, arrays, name)
    return Term(found.loss, found.metrics, list(found.gradients))


def undifferentiated(
    loss_fn: Any, data: Sequence[Any], logprobs: Any, timeout: float | None
) -> Term:
    """Call a loss function for its value only; waits for a concurrent future."""
    if gradients.detect_backend(loss_fn) is not None:
        # Simpler than converting arrays here as well, and the gradient is cheap.
        return attrs.evolve(differentiated(loss_fn, data, logprobs, None), gradients=None)
    arrays, batch = to_arrays(logprobs)
    result = loss_fn(data, arrays if batch else arrays[0])
    if callable(getattr(result, "result", None)):
        result = result.result(timeout)
    value, metrics, _ = unpack(result)
    return Term(gradients.scalar(value, "fn"), gradients.plain_metrics(metrics), None)


def _arrays(given: Any, logprobs: Any) -> list[FloatArray]:
    arrays, batch = to_arrays(logprobs)
    return gradients.checked_gradients(given if batch else [given], arrays)
