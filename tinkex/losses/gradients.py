"""The gradient of a user's loss with respect to each log probability.

It comes from one of four backends, each a function from a loss function, data and log probabilities
to a `RawResult`:

- explicit: the function returns it, as the third of three values;
- autograd: the function is numpy code, with numpy imported from `autograd`;
- torch and jax: the function uses that library.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from types import CodeType, FunctionType, ModuleType
from typing import Any, Protocol, cast

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from tinkex.errors import ValidationError
from tinkex.losses.loss_function import (
    BACKENDS,
    Backend,
    FloatArray,
    LossFunction,
    RawResult,
    unpack,
)
from tinkex.types.tensor import on_the_host


@frozen
class Evaluation:
    """The value of a loss at a point, and its gradient there.

    Attributes:
        loss: The value.
        metrics: The function's metrics.
        gradients: dloss/dlogprob of each datum: float64, with the shape of its log probabilities.
    """

    loss: float
    metrics: Mapping[str, float] = field(factory=dict)
    gradients: Sequence[FloatArray] = ()


class BackendFunction(Protocol):
    """A function that calls a loss on a library's arrays and differentiates it."""

    def __call__(
        self, loss_fn: LossFunction, data: Any, logprobs: Sequence[FloatArray]
    ) -> RawResult:
        """Return loss, metrics and a gradient per array."""
        ...


def evaluate(
    loss_fn: LossFunction,
    data: Any,
    logprobs: Sequence[npt.NDArray[Any]],
    backend: Backend | None = None,
) -> Evaluation:
    """Evaluate a loss and its gradient with respect to each datum's log probabilities.

    >>> evaluate(lambda data, logprobs: (-logprobs[0].sum(), {}), [], [np.zeros(2)]).gradients
    [array([-1., -1.])]

    Args:
        loss_fn: Returns ``(loss, metrics)``, or ``(loss, metrics, gradients)``, or a loss alone.
        data: Passed to the function unchanged.
        logprobs: One array per datum.
        backend: The source of the gradient. By default, a function that uses torch or jax
            (see `detect_backend`) is differentiated by that library. Any other is called with numpy
            arrays, and, unless it returns its gradients, a second time by autograd.

    Raises:
        ValidationError: The function does not return a scalar, ignores some log probabilities, or its
            gradients are not finite or of the wrong shape; the path names the datum.
        MissingDependencyError: The backend's package is not installed.
    """
    if not callable(loss_fn):
        raise ValidationError(
            f"must be a function of (data, logprobs), not {type(loss_fn).__name__}", path="loss_fn"
        )
    arrays = [np.asarray(array, np.float64) for array in logprobs]
    raw = backend_function(backend, loss_fn)(loss_fn, data, arrays)
    return Evaluation(
        loss=scalar(raw.loss, "loss_fn"),
        metrics=plain_metrics(raw.metrics),
        gradients=checked_gradients(raw.gradients, arrays),
    )


def backend_function(name: Backend | None, loss_fn: LossFunction) -> BackendFunction:
    """Return the backend that differentiates a function.

    Raises:
        ValidationError: There is no such backend.
        MissingDependencyError: Its package is not installed.
    """
    if name is not None and name not in BACKENDS:
        raise ValidationError(f"must be one of {', '.join(BACKENDS)}, not {name!r}", path="backend")
    name = name or detect_backend(loss_fn)
    if name == "torch":
        from tinkex.losses.torch_backend import differentiate as with_torch

        return with_torch
    if name == "jax":
        from tinkex.losses.jax_backend import differentiate as with_jax

        return with_jax
    if name == "autograd":
        from tinkex.losses.autograd_backend import differentiate as with_autograd

        return with_autograd
    return explicit if name == "explicit" else _explicit_or_autograd


def explicit(loss_fn: LossFunction, data: Any, logprobs: Sequence[FloatArray]) -> RawResult:
    """Use the gradients that the function returns."""
    loss, metrics, gradients = unpack(loss_fn(data, [array.copy() for array in logprobs]))
    if gradients is None:
        raise ValidationError(
            "must return (loss, metrics, gradients) with backend='explicit'", path="loss_fn"
        )
    return RawResult(loss, metrics, gradients)


def _explicit_or_autograd(
    loss_fn: LossFunction, data: Any, logprobs: Sequence[FloatArray]
) -> RawResult:
    try:
        loss, metrics, gradients = unpack(loss_fn(data, [array.copy() for array in logprobs]))
    except ValidationError:
        raise
    except Exception as error:
        error.add_note(
            "tinkex called the loss function with numpy arrays; if it is torch or jax code, pass "
            "backend='torch' or backend='jax'"
        )
        raise
    if gradients is not None:
        return RawResult(loss, metrics, gradients)
    scalar(loss, "loss_fn")
    from tinkex.losses.autograd_backend import differentiate

    traced = differentiate(loss_fn, data, logprobs)
    return RawResult(loss, metrics, traced.gradients)


def scalar(value: Any, path: str) -> float:
    """Return a finite number from anything that holds exactly one."""
    try:
        array = np.asarray(on_the_host(value), np.float64)
    except (TypeError, ValueError):
        raise ValidationError(
            f"returned a {type(value).__name__} as the loss; it must be a number", path=path
        ) from None
    if array.size != 1:
        raise ValidationError(
            f"returned a loss of shape {array.shape}; it must be one number, such as the sum",
            path=path,
        )
    number = float(array.reshape(()))
    if not math.isfinite(number):
        raise ValidationError(f"returned {number} as the loss", path=path)
    return number


def plain_metrics(metrics: Mapping[str, Any]) -> dict[str, float]:
    """Return metrics as Python floats; scalars of any array library are accepted."""
    plain: dict[str, float] = {}
    for name, value in metrics.items():
        try:
            plain[str(name)] = float(np.asarray(on_the_host(value), np.float64).reshape(()))
        except (TypeError, ValueError):
            raise ValidationError(
                f"is not a number but {value!r}", path=f"metrics[{name!r}]"
            ) from None
    return plain


def checked_gradients(gradients: Any, logprobs: Sequence[FloatArray]) -> list[FloatArray]:
    """Return one finite float64 gradient per array, with its shape."""
    given = [gradients] if hasattr(gradients, "shape") and len(logprobs) == 1 else gradients
    try:
        count = len(given)
    except TypeError:
        raise ValidationError(
            "must return a list of gradients, one per datum", path="loss_fn"
        ) from None
    if count != len(logprobs):
        raise ValidationError(
            f"returned {count} gradients for {len(logprobs)} data", path="loss_fn"
        )
    return [_gradient(given[i], logprobs[i], f"data[{i}]") for i in range(count)]


def _gradient(value: Any, logprobs: FloatArray, path: str) -> FloatArray:
    if value is None:
        raise ValidationError(
            "the loss ignores the log probabilities of this datum, so there is no gradient: omit the "
            "datum, or return gradients yourself (loss, metrics, gradients)",
            path=path,
        )
    try:
        gradient = np.array(on_the_host(value), np.float64)
    except (TypeError, ValueError):
        raise ValidationError("the gradient is not an array of numbers", path=path) from None
    if gradient.shape != logprobs.shape:
        raise ValidationError(
            f"the gradient has shape {gradient.shape}, but the log probabilities have "
            f"{logprobs.shape}",
            path=path,
        )
    # Values beyond float32 would be infinite on the wire.
    bad = ~(np.abs(gradient) <= np.finfo(np.float32).max)
    if bool(bad.any()):
        place = tuple(np.argwhere(bad)[0].tolist())
        raise ValidationError(
            f"the gradient at {list(place)} is {gradient[place]}, where the log probability is "
            f"{logprobs[place]}; only finite numbers can be sent",
            path=path,
        )
    return gradient


def detect_backend(loss_fn: LossFunction) -> Backend | None:
    """Return "torch" or "jax" if a function's code, or what it calls, uses that library.

    It inspects names in the code and their values, closures, annotations, and called functions, except
    those of an installed array library.
    """
    found: set[str] = set()
    _look_at(loss_fn, found, set())
    for name in ("torch", "jax"):
        if name in found:
            return cast("Backend", name)
    return None


def _look_at(thing: Any, found: set[str], seen: set[int]) -> None:
    if id(thing) in seen:
        return
    seen.add(id(thing))
    library = _library(thing)
    if library in ("torch", "jax"):
        found.add(library)
        return
    if library in ("numpy", "autograd", "tinkex"):
        return
    if hasattr(thing, "func") and hasattr(thing, "keywords"):  # functools.partial
        _look_at(thing.func, found, seen)
        return
    function = getattr(thing, "__func__", thing)
    if not isinstance(function, FunctionType) and not isinstance(thing, type):
        function = vars(type(thing)).get("__call__")  # a callable object
    if isinstance(function, FunctionType):
        _look_into(function, found, seen)


def _look_into(function: FunctionType, found: set[str], seen: set[int]) -> None:
    names = _names(function.__code__)
    for name in names & {"torch", "jax"}:
        if name not in function.__globals__:  # imported inside the function
            found.add(name)
    for annotation in function.__annotations__.values():
        text = annotation if isinstance(annotation, str) else repr(annotation)
        found.update(name for name in ("torch", "jax") if f"{name}." in text)
    reached = [function.__globals__[name] for name in names if name in function.__globals__]
    for cell in function.__closure__ or ():
        try:
            reached.append(cell.cell_contents)
        except ValueError:  # an unbound name
            continue
    for thing in reached:
        _look_at(thing, found, seen)


def _names(code: CodeType) -> set[str]:
    # `import jax.numpy as jnp` names "jax.numpy".
    names = {name.partition(".")[0] for name in code.co_names}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            names |= _names(constant)
    return names


def _library(thing: Any) -> str:
    if isinstance(thing, ModuleType):
        return thing.__name__.partition(".")[0]
    own = getattr(thing, "__module__", None) or type(thing).__module__
    return str(own).partition(".")[0].removesuffix("lib")
