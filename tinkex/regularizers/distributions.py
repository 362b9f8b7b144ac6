"""Entropy and Kullback-Leibler divergence of rows of log probabilities."""

from __future__ import annotations

import math
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
    to_arrays,
)

# Below this log probability, a term p log p is zero in float32.
LOG_PROBABILITY_FLOOR = -50.0
PROBABILITY_FLOOR = 1e-10
LOG_RATIO_LIMIT = 100.0


def rows(x: FloatArray) -> FloatArray:
    """Return a view with one row per distribution: the last axis, or all of [N]."""
    return x.reshape(1, -1) if x.ndim < 2 else x.reshape(-1, x.shape[-1])


def _plogp(z: FloatArray) -> FloatArray:
    kept = np.maximum(z, LOG_PROBABILITY_FLOOR)
    return np.where(z > LOG_PROBABILITY_FLOOR, np.exp(kept) * kept, 0.0)


def _plogp_slope(z: FloatArray) -> FloatArray:
    kept = np.maximum(z, LOG_PROBABILITY_FLOOR)
    return np.where(z > LOG_PROBABILITY_FLOOR, np.exp(kept) * (1 + kept), 0.0)


@frozen(kw_only=True)
class Entropy(Regularizer):
    """A reward or penalty for entropy: ±H, H = −Σ p log p for each row (Shannon 1948).

    >>> round(Entropy(mode="minimize").value(np.log([0.5, 0.5])), 4)
    0.6931

    A row is the last axis; an array [N] is one row. Terms with log p ≤ −50 are 0.

    Attributes:
        mode: "minimize" adds +H to the loss (sharper), "maximize" −H (an entropy bonus).
        reduction: "mean" or "sum" over all rows, or "none" for an array.
        normalize: Divide each row's H by its maximum, the log of the row's length; rows of length 1
            are unchanged.
        temperature: If not 1, rows are first divided by it and normalized to sum to 1.
    """

    name: ClassVar[str] = "entropy"
    mode: Literal["minimize", "maximize"] = field(
        default="minimize", validator=one_of("minimize", "maximize")
    )
    reduction: Literal["mean", "sum", "none"] = field(
        default="mean", validator=one_of("mean", "sum", "none")
    )
    normalize: bool = False
    temperature: float = field(default=1.0, validator=at_least(0.0, above=True))

    def _terms(self, x: FloatArray, _: Any) -> FloatArray:
        z = self._tempered(rows(x))
        return np.asarray(-self._factor(z) * _plogp(z).sum(axis=-1))

    def _slope(self, x: FloatArray, _: Any) -> FloatArray:
        z = self._tempered(rows(x))
        slope = -self._factor(z) * _plogp_slope(z)
        if self.temperature != 1.0:
            slope = (slope - np.exp(z) * slope.sum(axis=-1, keepdims=True)) / self.temperature
        return np.asarray(slope)

    def _tempered(self, x: FloatArray) -> FloatArray:
        if self.temperature == 1.0 or not x.size:
            return x
        scaled = x / self.temperature
        scaled = scaled - scaled.max(axis=-1, keepdims=True)
        return np.asarray(scaled - np.log(np.exp(scaled).sum(axis=-1, keepdims=True)))

    def _factor(self, z: FloatArray) -> float:
        sign = -1.0 if self.mode == "maximize" else 1.0
        return sign / math.log(z.shape[-1]) if self.normalize and z.shape[-1] > 1 else sign

    def _metrics(self, arrays: Sequence[FloatArray], references: Sequence[Any]) -> dict[str, Any]:
        value = self._reduced(arrays, references)
        return {
            "entropy": value.tolist() if isinstance(value, np.ndarray) else value,
            "mode": self.mode,
            "temperature": self.temperature,
        }


def _kl(log_p: FloatArray, log_q: FloatArray) -> FloatArray:
    """Return p (log p − log q) by element, with the ratio bounded and tiny p omitted."""
    p, ratio = _bounded(log_p, log_q)
    return np.asarray(p * np.clip(ratio, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT))


def _kl_slopes(log_p: FloatArray, log_q: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Return the derivatives of `_kl` by log p and by log q."""
    p, ratio = _bounded(log_p, log_q)
    inside = np.abs(ratio) <= LOG_RATIO_LIMIT
    clipped = np.clip(ratio, -LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    return p * (clipped + inside), -p * inside


def _bounded(log_p: FloatArray, log_q: FloatArray) -> tuple[FloatArray, FloatArray]:
    p = np.exp(log_p)
    counts = p > PROBABILITY_FLOOR
    ratio = np.where(counts, log_p, 0.0) - np.where(counts, log_q, 0.0)
    return np.where(counts, p, 0.0), ratio


@frozen(kw_only=True, eq=False)
class KLDivergence(Regularizer):
    """A penalty on divergence from a reference: KL(p‖q) = Σ p (log p − log q) for each row.

    p is the model, q the reference (Kullback and Leibler 1951); the symmetric mean is due to Jeffreys.
    Rows are the last axis, so use [N, K] targets for a distribution at each position. An array [N] of
    target log probabilities is one row that does not sum to 1, and its value can be negative. Log ratios
    are bounded by ±100, and terms with p ≤ 1e-10 are 0.

    Attributes:
        reference_logprobs: log q: an array with the shape of the log probabilities, or a list of one per
            datum.
        reference_field: Alternatively, the data's field with log q.
        compute_reference: Alternatively, a function from the data to log q.
        reduction: "mean" or "sum" over all rows, or "none" for an array.
        direction: "forward" KL(p‖q), or "reverse" KL(q‖p), which penalizes missing a mode of the
            reference.
        symmetric: Use the mean of both directions.
    """

    name: ClassVar[str] = "kl_divergence"
    reference_logprobs: Any = None
    reference_field: str | None = None
    compute_reference: Callable[[Sequence[Any]], Any] | None = None
    reduction: Literal["mean", "sum", "none"] = field(
        default="mean", validator=one_of("mean", "sum", "none")
    )
    direction: Literal["forward", "reverse"] = field(
        default="forward", validator=one_of("forward", "reverse")
    )
    symmetric: bool = False

    def __attrs_post_init__(self) -> None:
        given = (self.reference_logprobs, self.reference_field, self.compute_reference)
        if all(value is None for value in given):
            raise ValidationError(
                "KLDivergence requires a reference: reference_logprobs, reference_field or "
                "compute_reference",
                path="reference_logprobs",
            )

    def _references(self, arrays: Sequence[FloatArray], data: Sequence[Any]) -> Sequence[Any]:
        if self.reference_logprobs is not None:
            references = to_arrays(self.reference_logprobs)[0]
        elif self.reference_field is not None:
            references = field_arrays(data, self.reference_field, len(arrays))
        else:
            assert self.compute_reference is not None  # noqa: S101 - one of the three is set
            references = to_arrays(self.compute_reference(data))[0]
        check_same_shape("KL divergence", arrays, references)
        return references

    def _terms(self, x: FloatArray, reference: FloatArray) -> FloatArray:
        x, y = rows(x), rows(reference)
        forward, reverse = self._shares
        return np.asarray(sum(
            share * _kl(*pair).sum(axis=-1)
            for share, pair in ((forward, (x, y)), (reverse, (y, x)))
            if share
        ))  # fmt: skip

    def _slope(self, x: FloatArray, reference: FloatArray) -> FloatArray:
        forward, reverse = self._shares
        slope = np.zeros_like(x)
        if forward:
            slope = slope + forward * _kl_slopes(x, reference)[0]
        if reverse:
            slope = slope + reverse * _kl_slopes(reference, x)[1]
        return slope

    @property
    def _shares(self) -> tuple[float, float]:
        if self.symmetric:
            return 0.5, 0.5
        return (1.0, 0.0) if self.direction == "forward" else (0.0, 1.0)

    def _metrics(self, arrays: Sequence[FloatArray], references: Sequence[Any]) -> dict[str, Any]:
        terms = self._all_terms(arrays, references)
        value = self._reduced(arrays, references)
        return {
            "kl_divergence": value.tolist() if isinstance(value, np.ndarray) else value,
            "kl_direction": self.direction,
            "kl_symmetric": self.symmetric,
            "kl_max": float(terms.max()) if terms.size else 0.0,
            "kl_min": float(terms.min()) if terms.size else 0.0,
        }
