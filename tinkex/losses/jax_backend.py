"""Gradients of jax code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tinkex.errors import MissingDependencyError, ValidationError
from tinkex.losses.loss_function import FloatArray, LossFunction, RawResult, unpack

try:
    import jax
    import jax.numpy as jnp
except ImportError as error:
    raise MissingDependencyError("backend='jax'", "jax") from error


def _entrance(index: int, reached: set[int]) -> Any:
    """Return an identity that records that the backward pass reached it."""

    def backward(_: None, slope: Any) -> tuple[Any]:
        reached.add(index)
        return (slope,)

    entrance = jax.custom_vjp(lambda array: array)
    entrance.defvjp(lambda array: (array, None), backward)
    return entrance


def differentiate(loss_fn: LossFunction, data: Any, logprobs: Sequence[FloatArray]) -> RawResult:
    """Call a function on jax arrays and differentiate it."""
    reached: set[int] = set()
    leaves = [jnp.asarray(np.asarray(array, np.float32)) for array in logprobs]

    def traced(*arrays: Any) -> Any:
        pieces = [_entrance(i, reached)(array) for i, array in enumerate(arrays)]
        loss, metrics, gradients = unpack(loss_fn(data, pieces))
        loss = jnp.asarray(loss)
        if loss.size != 1:
            raise ValidationError(
                f"returned a loss of shape {loss.shape}; it must be one number, such as the sum",
                path="loss_fn",
            )
        return loss.reshape(()), (dict(metrics), gradients)

    loss, pull, (metrics, gradients) = jax.vjp(traced, *leaves, has_aux=True)
    if gradients is not None:
        return RawResult(loss, metrics, gradients)
    slopes = pull(jnp.ones_like(loss))
    kept = [slope if i in reached else None for i, slope in enumerate(slopes)]
    return RawResult(loss, metrics, kept)
