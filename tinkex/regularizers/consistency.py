"""Consistency of two sets of log probabilities."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal

import numpy as np
from attrs import field, frozen

from tinkex.regularizers.base import (
    FloatArray,
    Regularizer,
    check_same_shape,
    field_arrays,
    one_of,
)
from tinkex.regularizers.distributions import rows

SMALLEST_NORM = 1e-8


@frozen(kw_only=True)
class Consistency(Regularizer):
    """A penalty on disagreement with the log probabilities of a paired input, such as a paraphrase.

    With x the model's values and y the pair's:

    - mse: (x − y)², by element
    - l1: |x − y|, by element
    - cosine: 1 − x·y / (‖x‖ ‖y‖), by datum, norms of at least 1e-8; always the mean over data
    - kl: ½ Σ (eˣ − eʸ)(x − y), by row: Jeffreys' mean of both KL divergences

    Attributes:
        pair_field: The data's field with y, of the shape of x.
        metric: "mse", "l1", "cosine" or "kl".
        reduction: "mean" or "sum", or "none" for an array. Ignored for cosine.
    """

    name: ClassVar[str] = "consistency"
    pair_field: str = "original_logprobs"
    metric: Literal["mse", "l1", "cosine", "kl"] = field(
        default="mse", validator=one_of("mse", "l1", "cosine", "kl")
    )
    reduction: Literal["mean", "sum", "none"] = field(
        default="mean", validator=one_of("mean", "sum", "none")
    )

    @property
    def _reduction(self) -> str:
        return "mean" if self.metric == "cosine" else self.reduction

    def _references(self, arrays: Sequence[FloatArray], data: Sequence[Any]) -> Sequence[Any]:
        pairs = field_arrays(data, self.pair_field, len(arrays))
        check_same_shape("consistency", arrays, pairs)
        return pairs

    def _terms(self, x: FloatArray, reference: FloatArray) -> FloatArray:
        gap = x - reference
        if self.metric == "mse":
            return np.asarray(gap**2)
        if self.metric == "l1":
            return np.abs(gap)
        if self.metric == "kl":
            jeffreys = rows((np.exp(x) - np.exp(reference)) * gap) / 2
            return np.asarray(jeffreys.sum(axis=-1))
        one, other, _ = _directions(x, reference)
        return np.asarray(1.0 - float((one * other).sum()))

    def _slope(self, x: FloatArray, reference: FloatArray) -> FloatArray:
        gap = x - reference
        if self.metric == "mse":
            return np.asarray(2.0 * gap)
        if self.metric == "l1":
            return np.sign(gap)
        if self.metric == "kl":
            return np.asarray((np.exp(x) * (gap + 1) - np.exp(reference)) / 2)
        one, other, length = _directions(x, reference)
        if length <= SMALLEST_NORM:  # the norm is bounded below, so the cosine is linear in x
            return -other / SMALLEST_NORM
        return np.asarray((one * float((one * other).sum()) - other) / length)

    def _metrics(self, _arrays: Sequence[FloatArray], _references: Sequence[Any]) -> dict[str, Any]:
        return {"consistency_metric": self.metric}


def _directions(x: FloatArray, y: FloatArray) -> tuple[FloatArray, FloatArray, float]:
    length = float(np.linalg.norm(x))
    other = y / max(float(np.linalg.norm(y)), SMALLEST_NORM)
    return x / max(length, SMALLEST_NORM), other, length
