"""Choosing the next token: temperature, top-k, top-p, inverse CDF."""

from __future__ import annotations

import numpy as np
from attrs import frozen

from tinkex.local.engine.arena import Array

_COLDEST = 1e-6


@frozen(eq=False)
class Choices:
    """How each row chooses: arrays of one entry per row."""

    temperature: Array
    """0 is greedy."""
    top_k: Array
    """Number of most likely tokens to choose from; the vocabulary's size for no limit."""
    top_p: Array

    def select(self, rows: Array) -> Choices:
        """Return the entries of some rows."""
        return Choices(self.temperature[rows], self.top_k[rows], self.top_p[rows])


def choose(shifted: Array, choices: Choices, uniforms: Array) -> Array:
    """Return one token id per row of logits ([R, V], each row's largest subtracted).

    A row's token depends on that row's logits, settings and uniform number alone. Filters apply
    to the distribution at the row's temperature: top-k first, then top-p on what is left
    (the smallest set of most likely tokens whose mass reaches top_p; at least one).
    """
    tokens: Array = np.argmax(shifted, axis=1)
    vocab = shifted.shape[1]
    drawn = choices.temperature > 0
    filtered = drawn & ((choices.top_k < vocab) | (choices.top_p < 1.0))
    plain = np.flatnonzero(drawn & ~filtered)
    if plain.size:
        weights = _tempered(shifted[plain], choices.temperature[plain])
        tokens[plain] = _inverse_cdf(weights, uniforms[plain])
    some = np.flatnonzero(filtered)
    if some.size:
        tokens[some] = _filtered(shifted[some], choices.select(some), uniforms[some])
    return tokens


def draw(logprobs: Array, temperature: float, uniforms: Array) -> Array:
    """Return token ids [R, k] drawn independently from each row of logprobs [R, V], without filters.

    uniforms: numbers in [0, 1), [R, k].
    """
    if temperature <= 0:
        likeliest: Array = np.argmax(logprobs, axis=1)[:, None]
        return np.broadcast_to(likeliest, uniforms.shape)
    shifted = logprobs - logprobs.max(axis=1, keepdims=True)
    weights = _tempered(shifted, np.full(len(logprobs), temperature))
    mass = np.cumsum(weights, axis=1, dtype=np.float64)
    rows = [
        np.searchsorted(row, numbers * row[-1], side="right")
        for row, numbers in zip(mass, uniforms, strict=True)
    ]
    return np.array(rows, np.int64).reshape(uniforms.shape)


def _tempered(shifted: Array, temperature: Array) -> Array:
    """Return unnormalised probabilities at a temperature; the largest is 1."""
    # Below the floor the choice is greedy in all but name, and float32 would divide by zero.
    divisor: Array = np.maximum(temperature, _COLDEST)[:, None].astype(shifted.dtype)
    scaled: Array = shifted / divisor
    weights: Array = np.exp(scaled)
    return weights


def _inverse_cdf(weights: Array, uniforms: Array) -> Array:
    """Return the first index whose cumulated weight exceeds u·total."""
    mass: Array = np.cumsum(weights, axis=1, dtype=np.float64)
    index: Array = (mass <= (uniforms * mass[:, -1])[:, None]).sum(axis=1)
    return index


def _filtered(shifted: Array, choices: Choices, uniforms: Array) -> Array:
    vocab = shifted.shape[1]
    widest = int(min(choices.top_k.max(), vocab))
    if widest < vocab:
        candidates = np.argpartition(-shifted, widest - 1, axis=1)[:, :widest]
        candidates.sort(axis=1)  # ties go to the lower id, whatever the partition did
        values = np.take_along_axis(shifted, candidates, axis=1)
    else:
        candidates, values = None, shifted
    order = np.argsort(-values, axis=1, kind="stable")
    ranked = np.take_along_axis(values, order, axis=1)
    weights = _tempered(ranked, choices.temperature)
    weights[np.arange(weights.shape[1]) >= choices.top_k[:, None]] = 0
    mass = np.cumsum(weights, axis=1, dtype=np.float64)
    before = mass - weights
    beyond = before >= choices.top_p[:, None] * mass[:, -1:]
    beyond[:, 0] = False
    weights[beyond] = 0
    picked = np.take_along_axis(order, _inverse_cdf(weights, uniforms)[:, None], axis=1)
    if candidates is not None:
        picked = np.take_along_axis(candidates, picked, axis=1)
    return picked[:, 0]
