"""Gradients of numpy code, with the autograd package."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any

import autograd.numpy
import numpy as np
from autograd.core import make_vjp
from autograd.extend import defvjp, defvjp_argnum, primitive, vspace
from autograd.tracer import getval

from tinkex.errors import ValidationError
from tinkex.losses.loss_function import FloatArray, LossFunction, RawResult, unpack

# autograd counts its nested traces in a global, so threads must take turns.
TRACING = threading.RLock()

HOW_TO_WRITE = (
    "tinkex was differentiating numpy code with autograd: in the function use\n"
    "    import autograd.numpy as np\n"
    "and return metrics unconverted, without float(); or return the gradients yourself: "
    "(loss, metrics, gradients)"
)


# An identity that records that the backward pass reached it.
_entrance = primitive(lambda array, _index, _reached: array)


def _entrance_vjp(_: Any, __: Any, index: int, reached: set[int]) -> Any:
    def backward(slope: Any) -> Any:
        # The backward pass only visits what the loss depends on.
        reached.add(index)
        return slope

    return backward


defvjp(_entrance, _entrance_vjp, argnums=(0,))

# The value unchanged, but with a dependency on the array whose slope is zero. Without it, autograd warns
# about a function that does not depend on its argument.
_tied = primitive(lambda value, _array: value)


def _tied_vjp(argnum: int, _: Any, args: tuple[Any, ...], __: Any) -> Any:
    if argnum == 0:
        return lambda slope: slope
    return lambda _: vspace(args[1]).zeros()


defvjp_argnum(_tied, _tied_vjp)


def differentiate(loss_fn: LossFunction, data: Any, logprobs: Sequence[FloatArray]) -> RawResult:
    """Call a function on traced arrays and differentiate it."""
    reached: set[int] = set()
    seen: dict[str, Any] = {}

    def traced(flat: Any) -> Any:
        pieces, start = [], 0
        for index, array in enumerate(logprobs):
            piece = flat[start : start + array.size].reshape(array.shape)
            pieces.append(_entrance(piece, index, reached))
            start += array.size
        loss, seen["metrics"], seen["gradients"] = unpack(loss_fn(data, pieces))
        value = getval(loss)
        seen["loss"] = value
        if np.size(value) != 1:
            raise ValidationError(
                f"returned a loss of shape {np.shape(value)}; it must be one number, such as the "
                "sum",
                path="loss_fn",
            )
        return _tied(loss, flat)

    flat = np.concatenate([array.reshape(-1) for array in logprobs]) if logprobs else np.zeros(0)
    with TRACING:
        try:
            backward, end = make_vjp(traced, flat)
        except ValidationError:
            raise
        except TypeError as error:
            if "ArrayBox" not in str(error):
                error.add_note(HOW_TO_WRITE)
                raise
            raise ValidationError(
                f"wants a plain number where autograd has a traced one ({error}): {HOW_TO_WRITE}",
                path="loss_fn",
            ) from error
        except Exception as error:
            error.add_note(HOW_TO_WRITE)
            raise
        slopes = backward(np.ones_like(end))
    metrics = {name: getval(value) for name, value in seen["metrics"].items()}
    if seen["gradients"] is not None:
        given = [getval(gradient) for gradient in seen["gradients"]]
        return RawResult(seen["loss"], metrics, given)
    gradients: list[Any] = []
    start = 0
    for index, array in enumerate(logprobs):
        piece = slopes[start : start + array.size].reshape(array.shape)
        gradients.append(piece if index in reached else None)
        start += array.size
    return RawResult(seen["loss"], metrics, gradients)


def slope_and_hessian(
    function: Callable[[Any], Any], x: FloatArray
) -> tuple[FloatArray, Callable[[FloatArray], FloatArray]]:
    """Return the gradient of a scalar function at x, and a product with its Hessian."""
    own = getattr(np, getattr(function, "__name__", ""), None)
    # numpy's own functions cannot be traced; autograd has a replacement for each.
    traceable = getattr(autograd.numpy, function.__name__) if own is function else function

    def scalar(array: Any) -> Any:
        return _tied(traceable(array), array)

    def slope(array: Any) -> Any:
        backward, end = make_vjp(scalar, array)
        if np.size(getval(end)) != 1:
            raise ValidationError("must return one number", path="loss_fn")
        return _tied(backward(np.ones(np.shape(getval(end)))), array)

    with TRACING:
        try:
            again, at_x = make_vjp(slope, x)
        except ValidationError:
            raise
        except Exception as error:
            error.add_note(HOW_TO_WRITE)
            raise

    def hessian_times(vector: FloatArray) -> FloatArray:
        with TRACING:
            return np.asarray(again(vector), np.float64)

    return np.asarray(at_x, np.float64), hessian_times
