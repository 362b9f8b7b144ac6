"""Regularizers inside a loss function that autograd, torch or jax differentiates.

Each library treats the value as one operation whose derivative is the analytic gradient.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np

from tinkex.types.tensor import on_the_host

Library = Literal["autograd", "torch", "jax"]


def library_of(logprobs: Any) -> Library | None:
    """Return the library of traced arrays; None for plain numbers."""
    items = logprobs if isinstance(logprobs, list | tuple) else [logprobs]
    for item in items:
        module = type(item).__module__.partition(".")[0]
        if module == "autograd":
            return "autograd"
        if module == "torch" and getattr(item, "requires_grad", False):
            return "torch"
        if module in ("jax", "jaxlib") and hasattr(item, "aval") and _is_jax_tracer(item):
            return "jax"
    return None


def value(
    value_and_gradient: Callable[[Any, Any], tuple[Any, Any]],
    logprobs: Any,
    data: Any,
    library: Library,
) -> Any:
    """Return a regularizer's value as a traced number of the library."""
    batch = isinstance(logprobs, list | tuple)
    pieces = list(logprobs) if batch else [logprobs]

    def evaluate(arrays: Sequence[Any]) -> tuple[Any, list[Any]]:
        plain = [np.asarray(on_the_host(array), np.float64) for array in arrays]
        found, gradients = value_and_gradient(plain, data)
        return np.asarray(found).sum(), list(gradients)

    with_library = {"autograd": _autograd, "torch": _torch, "jax": _jax}[library]
    return with_library(evaluate, pieces)


def _autograd(evaluate: Any, pieces: list[Any]) -> Any:
    from autograd.extend import defvjp_argnum, primitive
    from autograd.tracer import getval

    def plain(array: Any) -> Any:
        while array is not getval(array):
            array = getval(array)
        return array

    found, gradients = evaluate([plain(piece) for piece in pieces])
    step = primitive(lambda *_: float(found))
    defvjp_argnum(step, lambda argnum, *_: lambda slope: slope * gradients[argnum])
    return step(*pieces)


def _torch(evaluate: Any, pieces: list[Any]) -> Any:
    import torch

    class Step(torch.autograd.Function):  # type: ignore[misc]
        @staticmethod
        def forward(ctx: Any, *tensors: Any) -> Any:
            found, gradients = evaluate(tensors)
            ctx.save_for_backward(
                *(torch.as_tensor(g).to(t) for g, t in zip(gradients, tensors, strict=True))
            )
            return torch.as_tensor(float(found)).to(tensors[0])

        @staticmethod
        def backward(ctx: Any, slope: Any) -> Any:
            return tuple(slope * gradient for gradient in ctx.saved_tensors)

    return Step.apply(*pieces)


def _jax(evaluate: Any, pieces: list[Any]) -> Any:
    import jax
    import jax.numpy as jnp

    def callback(*arrays: Any) -> Any:
        found, gradients = evaluate(arrays)
        return np.float32(found), [
            np.asarray(gradient, array.dtype)
            for gradient, array in zip(gradients, arrays, strict=True)
        ]

    def host(*arrays: Any) -> Any:
        shapes = [jax.ShapeDtypeStruct(array.shape, array.dtype) for array in arrays]
        out = (jax.ShapeDtypeStruct((), jnp.float32), shapes)
        return jax.pure_callback(callback, out, *arrays)

    def found(*arrays: Any) -> Any:
        return host(*arrays)[0]

    step = jax.custom_vjp(found)
    step.defvjp(host, lambda gradients, slope: tuple(slope * g for g in gradients))
    return step(*pieces)


def _is_jax_tracer(item: Any) -> bool:
    import jax

    return isinstance(item, jax.core.Tracer)
