"""A penalty on the slope of a function of the log probabilities."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from attrs import field, frozen

from tinkex.errors import ValidationError
from tinkex.regularizers.base import (
    FloatArray,
    Regularizer,
    at_least,
    check_same_shape,
    field_arrays,
    one_of,
)


@frozen(kw_only=True, eq=False)
class GradientPenalty(Regularizer):
    """A penalty on a function's slope: (‖∇f(x)‖₂ − target)² (Gulrajani et al. 2017).

    >>> GradientPenalty(loss_fn=np.sum).value([-1.0, -2.0, -3.0, -4.0])
    1.0

    For a batch it is the sum over the data. autograd differentiates the function twice. Where the slope is
    zero, the penalty's gradient is defined as zero.

    Attributes:
        loss_fn: f: from one array to a number, written with ``autograd.numpy``; numpy's own
            functions, such as ``np.sum``, can be passed directly.
        mode: "output" takes the slope at x; "interpolated" at εx + (1 − ε)y, with one ε drawn from
            [0, 1) per call and y a field of the data.
        reference_field: The field with y.
        target_norm: The slope without a penalty.
        seed: Makes every call draw the same ε.
    """

    name: ClassVar[str] = "gradient_penalty"
    loss_fn: Callable[[Any], Any] = field()
    mode: Literal["output", "interpolated"] = field(
        default="output", validator=one_of("output", "interpolated")
    )
    reference_field: str = "reference_logprobs"
    target_norm: float = field(default=1.0, validator=at_least(0.0))
    seed: int | None = None

    @loss_fn.validator
    def _check_loss_fn(self, _: Any, value: Any) -> None:
        if not callable(value):
            raise ValidationError(f"must be a function of one array, not {value!r}", path="loss_fn")

    def _references(self, arrays: Sequence[FloatArray], data: Sequence[Any]) -> Sequence[Any]:
        if self.mode == "output":
            return [(1.0, 0.0)] * len(arrays)
        references = field_arrays(data, self.reference_field, len(arrays))
        check_same_shape("gradient penalty", arrays, references)
        share = float(np.random.default_rng(self.seed).random())
        return [(share, (1.0 - share) * y) for y in references]

    def _terms(self, x: FloatArray, reference: Any) -> FloatArray:
        share, rest = reference
        slope, _ = self._differentiated(share * x + rest)
        return np.asarray((float(np.linalg.norm(slope)) - self.target_norm) ** 2)

    def _slope(self, x: FloatArray, reference: Any) -> FloatArray:
        share, rest = reference
        slope, curve = self._differentiated(share * x + rest)
        norm = float(np.linalg.norm(slope))
        if norm == 0.0:
            return np.zeros_like(x)
        return np.asarray(share * 2.0 * (norm - self.target_norm) * curve(slope / norm))

    def _differentiated(
        self, x: FloatArray
    ) -> tuple[FloatArray, Callable[[FloatArray], FloatArray]]:
        """Return the slope of f at x, and a function from v to the Hessian of f times v."""
        from tinkex.losses.autograd_backend import slope_and_hessian

        return slope_and_hessian(self.loss_fn, x)
