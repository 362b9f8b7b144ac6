"""L1, L2 and elastic net."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from attrs import field, frozen

from tinkex.errors import ValidationError
from tinkex.regularizers.base import FloatArray, Regularizer, at_least, field_arrays, one_of

Target = Literal["logprobs", "probs"] | tuple[Literal["field"], str]
SumOrMean = Literal["sum", "mean"]


def _check_target(regularizer: Any, _: Any, value: Any) -> None:
    named = isinstance(value, tuple) and len(value) == 2 and value[0] == "field"
    if value not in ("logprobs", "probs") and not named:
        raise ValidationError(
            f"unsupported {type(regularizer).__name__} target {value!r}: it must be 'logprobs', "
            "'probs' or ('field', name)",
            path="target",
        )


def _check_center(_: Any, __: Any, value: Any) -> None:
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if value is not None and value != "mean" and not (number and np.isfinite(value)):
        raise ValidationError(f"must be None, 'mean' or a number, not {value!r}", path="center")


@frozen(kw_only=True)
class _Norm(Regularizer):
    """Base class of penalties on log probabilities, probabilities, or a field of the data."""

    target: Target = field(default="logprobs", validator=_check_target)
    reduction: SumOrMean = field(default="sum", validator=one_of("sum", "mean"))
    lambda_: float = field(default=1.0, validator=at_least(0.0))

    def _penalty(self, c: FloatArray) -> FloatArray:
        raise NotImplementedError

    def _penalty_slope(self, c: FloatArray) -> FloatArray:
        raise NotImplementedError

    def _references(self, arrays: Sequence[FloatArray], data: Sequence[Any]) -> Sequence[Any]:
        if isinstance(self.target, tuple):
            return field_arrays(data, self.target[1], len(arrays))
        return [None] * len(arrays)

    def _resolved(self, x: FloatArray, reference: Any) -> FloatArray:
        if reference is not None:
            return np.asarray(reference, np.float64)
        return np.exp(x) if self.target == "probs" else x

    def _terms(self, x: FloatArray, reference: Any) -> FloatArray:
        return self.lambda_ * self._penalty(self._resolved(x, reference))

    def _slope(self, x: FloatArray, reference: Any) -> FloatArray:
        if reference is not None:  # a field of the data does not depend on the model
            return np.zeros_like(x)
        slope = self.lambda_ * self._penalty_slope(self._resolved(x, None))
        return slope * np.exp(x) if self.target == "probs" else slope

    def _flat(self, arrays: Sequence[FloatArray], references: Sequence[Any]) -> FloatArray:
        flat = [self._resolved(x, r).reshape(-1) for x, r in zip(arrays, references, strict=True)]
        return np.concatenate(flat) if flat else np.zeros(0)


@frozen(kw_only=True)
class L1(_Norm):
    """A penalty on absolute values: λ Σ|x| (or the mean).

    >>> L1(reduction="mean").value([-0.5, -1.5])
    1.0

    On log probabilities, it pushes all targets towards probability 1 with the same force, however
    unlikely they are. The subgradient at 0 is 0.

    Attributes:
        target: The penalized quantity: "logprobs", "probs" (their exponential), or ("field", name) of
            the data, which affects the value only.
        reduction: "sum" or "mean" over all elements.
        lambda_: The factor λ.
    """

    name: ClassVar[str] = "l1_sparsity"

    def _penalty(self, c: FloatArray) -> FloatArray:
        return np.abs(c)

    def _penalty_slope(self, c: FloatArray) -> FloatArray:
        return np.sign(c)

    def _metrics(self, arrays: Sequence[FloatArray], references: Sequence[Any]) -> dict[str, Any]:
        flat = self._flat(arrays, references)
        return {
            "l1_raw": self._reduced(arrays, references),
            "l1_mean": float(np.abs(flat).mean()) if flat.size else 0.0,
        }


@frozen(kw_only=True)
class L2(_Norm):
    """A penalty on squares: λ Σ c² (or the mean), c = x − center, clipped to ±clip.

    >>> L2().value([1.0, 2.0])
    5.0

    Where c is clipped, the penalty is constant and has no gradient.

    Attributes:
        target: As for `L1`.
        reduction: "sum" or "mean" over all elements.
        lambda_: The factor λ.
        center: The number to subtract: None, a number, or "mean" for the mean of the datum's values.
        clip: The largest |c|; None for no limit.
    """

    name: ClassVar[str] = "l2_weight_decay"
    center: float | Literal["mean"] | None = field(default=None, validator=_check_center)
    clip: float | None = field(default=None)

    @clip.validator
    def _check_clip(self, attribute: Any, value: Any) -> None:
        if value is not None:
            at_least(0.0, above=True)(self, attribute, value)

    def _penalty(self, c: FloatArray) -> FloatArray:
        return np.asarray(self._clipped(self._centered(c)) ** 2)

    def _penalty_slope(self, c: FloatArray) -> FloatArray:
        centered = self._centered(c)
        slope = 2.0 * self._clipped(centered)
        if self.clip is not None:
            slope = np.where(np.abs(centered) > self.clip, 0.0, slope)
        # Each value also changes the mean, and so every c.
        return slope - slope.mean() if self.center == "mean" and slope.size else slope

    def _centered(self, x: FloatArray) -> FloatArray:
        if self.center == "mean":
            return x - x.mean() if x.size else x
        return x if self.center is None else x - self.center

    def _clipped(self, c: FloatArray) -> FloatArray:
        return c if self.clip is None else np.clip(c, -self.clip, self.clip)

    def _metrics(self, arrays: Sequence[FloatArray], references: Sequence[Any]) -> dict[str, Any]:
        flat = self._flat(arrays, references)
        center: float | str = "none" if self.center is None else self.center
        if self.center == "mean" and len(arrays) == 1 and flat.size:
            center = float(flat.mean())
        return {
            "l2_raw": self._reduced(arrays, references),
            "l2_mean": float((flat**2).mean()) if flat.size else 0.0,
            "center": center,
        }


@frozen(kw_only=True)
class ElasticNet(_Norm):
    """A mix of L1 and L2: λ (r Σ|x| + (1 − r) Σ x²) (or the means). Zou and Hastie 2005.

    Attributes:
        target: As for `L1`.
        reduction: "sum" or "mean" over all elements.
        lambda_: The factor λ.
        l1_ratio: The share r of L1, from 0 to 1.
    """

    name: ClassVar[str] = "elastic_net"
    l1_ratio: float = field(default=0.5, validator=at_least(0.0, most=1.0))

    def _penalty(self, c: FloatArray) -> FloatArray:
        return np.asarray(self.l1_ratio * np.abs(c) + (1 - self.l1_ratio) * c**2)

    def _penalty_slope(self, c: FloatArray) -> FloatArray:
        return np.asarray(self.l1_ratio * np.sign(c) + 2 * (1 - self.l1_ratio) * c)

    def _metrics(self, arrays: Sequence[FloatArray], references: Sequence[Any]) -> dict[str, Any]:
        return {"elastic_net": self._reduced(arrays, references), "l1_ratio": self.l1_ratio}
