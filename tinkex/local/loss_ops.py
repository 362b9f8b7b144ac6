"""The operations that a custom loss may use: torch's names and meanings, over autograd's numpy.

Every result is bounded in size before it is computed; nothing here reads or writes anything else.
"""

from collections.abc import Callable, Sequence
from typing import Any

import autograd.numpy as anp
import numpy as np
from autograd.tracer import getval, isbox

MOST_ELEMENTS = 2**22

Operation = Callable[..., Any]


def detached(value: Any) -> Any:
    """Return the value without its history, as torch's `detach`."""
    while isbox(value):
        value = getval(value)
    return value


def traced(loss: Any, logprobs: Any) -> Any:
    """Return the loss as a float with a history, even if it ignores the logprobs."""
    return loss * 1.0 if isbox(loss) else loss + 0.0 * anp.sum(logprobs)


def _bounded(function: Operation) -> Operation:
    """Refuse to broadcast to more elements than are allowed."""

    def elementwise(*arrays: Any) -> Any:
        if np.prod(np.broadcast_shapes(*map(anp.shape, arrays)), dtype=float) > MOST_ELEMENTS:
            raise ValueError(f"the result has more than {MOST_ELEMENTS} elements")
        return function(*arrays)

    return elementwise


_add, _subtract, _multiply = map(_bounded, (anp.add, anp.subtract, anp.multiply))
_divide, _power = map(_bounded, (anp.true_divide, anp.power))
_greater, _less = map(_bounded, (anp.greater, anp.less))
_minimum, _maximum, _where3 = map(_bounded, (anp.minimum, anp.maximum, anp.where))


def _plus(first: Any, second: Any, *, alpha: Any = 1) -> Any:
    return _add(first, second if alpha == 1 else _multiply(second, alpha))


def _minus(first: Any, second: Any, *, alpha: Any = 1) -> Any:
    return _subtract(first, second if alpha == 1 else _multiply(second, alpha))


def _clamp(x: Any, min: Any = None, max: Any = None) -> Any:  # noqa: A002 - torch's names
    # By `where`, so that the gradient at the bounds themselves is 1, as in torch.
    if max is not None:
        x = _where3(_greater(x, max), max, x)
    if min is not None:
        x = _where3(_less(x, min), min, x)
    return x


def _where(condition: Any, x: Any, other: Any) -> Any:
    return _where3(condition, x, other)


def _reduction(function: Operation) -> Operation:
    def reduce(x: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
        del dtype
        axis = tuple(dim) if isinstance(dim, list) else dim
        return function(x, axis=axis, keepdims=keepdim)

    return reduce


def _spread(function: Operation) -> Operation:
    def reduce(
        x: Any,
        dim: Any = None,
        unbiased: bool = True,
        keepdim: bool = False,
        *,
        correction: Any = None,
    ) -> Any:
        ddof = int(unbiased) if correction is None else correction
        return function(x, axis=dim, ddof=ddof, keepdims=keepdim)

    return reduce


def _extreme(whole: Operation, pairwise: Operation) -> Operation:
    def extreme(x: Any, other: Any = None) -> Any:
        if isinstance(other, int):
            raise TypeError("a maximum or minimum along one dimension: use amax or amin")
        return whole(x) if other is None else pairwise(x, other)

    return extreme


def _logsumexp(x: Any, dim: Any, keepdim: bool = False) -> Any:
    axis = tuple(dim) if isinstance(dim, list) else dim
    top = np.max(detached(x), axis=axis, keepdims=True)
    top = np.where(np.isfinite(top), top, 0.0)
    total = anp.log(anp.sum(anp.exp(x - top), axis=axis, keepdims=True)) + top
    return total if keepdim else anp.squeeze(total, axis=axis)


def _log_softmax(x: Any, dim: int = -1, *, dtype: Any = None) -> Any:
    del dtype
    return x - _logsumexp(x, dim, keepdim=True)


def _softmax(x: Any, dim: int = -1, *, dtype: Any = None) -> Any:
    return anp.exp(_log_softmax(x, dim, dtype=dtype))


def _float(x: Any, *_: Any, **__: Any) -> Any:
    return x * 1.0


def _to(x: Any, *targets: Any, dtype: Any = None, device: Any = None) -> Any:
    del device
    floating = any(str(one).startswith(("float", "double")) for one in (*targets, dtype))
    return x * 1.0 if floating else x


def _like(value: float) -> Operation:
    def like(x: Any, *, dtype: Any = None, device: Any = None) -> Any:
        del dtype, device
        return np.full(np.shape(detached(x)), value)

    return like


def _join(function: Operation) -> Operation:
    def join(tensors: Sequence[Any], dim: int = 0) -> Any:
        if not isinstance(tensors, list | tuple) or any(
            isinstance(one, list | tuple) for one in tensors
        ):
            raise TypeError("expected a list of tensors")
        if sum(int(np.prod(anp.shape(one))) for one in tensors) > MOST_ELEMENTS:
            raise ValueError(f"the result has more than {MOST_ELEMENTS} elements")
        return function(tensors, axis=dim)

    return join


def _getitem(x: Any, index: Any) -> Any:
    parts = index if isinstance(index, tuple) else (index,)
    for part in parts:
        mask = getattr(detached(part), "dtype", None) == np.bool_
        if not (mask or part is None or part is ... or isinstance(part, int | slice)):
            raise ValueError("an index is an integer, a slice, None, ... or a mask of booleans")
    return x[detached(index) if not isinstance(index, tuple) else tuple(map(detached, index))]


def _getattr(x: Any, name: str) -> Any:
    if name == "shape":
        return tuple(anp.shape(x))
    if name == "ndim":
        return len(anp.shape(x))
    if name == "T":
        return anp.transpose(x)
    raise ValueError(f"the attribute {name!r} is not available here")


def _size(x: Any, dim: int | None = None) -> Any:
    shape = tuple(anp.shape(x))
    return shape if dim is None else shape[dim]


def _reshape(x: Any, *shape: Any) -> Any:
    return anp.reshape(
        x, tuple(shape[0]) if len(shape) == 1 and not isinstance(shape[0], int) else shape
    )


def _squeeze(x: Any, dim: int | None = None) -> Any:
    return anp.squeeze(x, axis=dim)


def _diff(x: Any, n: int = 1, dim: int = -1) -> Any:
    if n != 1 or dim != -1:
        raise ValueError("only first differences along the last dimension are available here")
    return x[..., 1:] - x[..., :-1]


def _cumsum(x: Any, dim: int, *, dtype: Any = None) -> Any:
    del dtype
    return anp.cumsum(x, axis=dim)


def _sigmoid(x: Any) -> Any:
    return 0.5 * (anp.tanh(0.5 * x) + 1.0)


_COMPARISONS: dict[str, Operation] = {
    name: _bounded(function)
    for name, function in {
        "gt": anp.greater, "ge": anp.greater_equal, "lt": anp.less, "le": anp.less_equal,
        "eq": anp.equal, "ne": anp.not_equal,
    }.items()
}  # fmt: skip
_LOGICAL: dict[str, Operation] = {
    "logical_and": _bounded(anp.logical_and),
    "logical_or": _bounded(anp.logical_or),
    "logical_not": anp.logical_not,
}
_UNARY: dict[str, Operation] = {
    "exp": anp.exp, "log": anp.log, "log1p": anp.log1p, "expm1": anp.expm1, "sqrt": anp.sqrt,
    "tanh": anp.tanh, "sin": anp.sin, "cos": anp.cos, "abs": anp.abs, "neg": anp.negative,
    "sign": anp.sign, "square": lambda x: x * x, "rsqrt": lambda x: 1.0 / anp.sqrt(x),
    "reciprocal": lambda x: 1.0 / x, "sigmoid": _sigmoid,
    "isnan": anp.isnan, "isfinite": anp.isfinite,
}  # fmt: skip
_ARITHMETIC: dict[str, Operation] = {
    "add": _plus, "sub": _minus, "mul": _multiply, "div": _divide, "true_divide": _divide,
    "pow": _power, "minimum": _minimum, "maximum": _maximum,
}  # fmt: skip
_SHARED: dict[str, Operation] = {
    **_UNARY, **_ARITHMETIC, **_COMPARISONS, **_LOGICAL,
    "clamp": _clamp, "clip": _clamp, "clamp_min": lambda x, min: _clamp(x, min=min),  # noqa: A006
    "clamp_max": lambda x, max: _clamp(x, max=max),  # noqa: A006
    "sum": _reduction(anp.sum), "mean": _reduction(anp.mean), "prod": _reduction(anp.prod),
    "amax": _reduction(anp.max), "amin": _reduction(anp.min),
    "std": _spread(anp.std), "var": _spread(anp.var),
    "max": _extreme(anp.max, _maximum), "min": _extreme(anp.min, _minimum),
    "logsumexp": _logsumexp, "softmax": _softmax, "log_softmax": _log_softmax,
    "cumsum": _cumsum, "diff": _diff, "relu": lambda x: _where3(anp.greater(x, 0), x, 0.0),
    "detach": detached, "clone": lambda x: x, "squeeze": _squeeze, "unsqueeze": anp.expand_dims,
    "reshape": _reshape, "flatten": lambda x: anp.reshape(x, (-1,)), "numel": lambda x: int(np.prod(anp.shape(x))),
}  # fmt: skip
_TORCH: dict[str, Operation] = {
    **_SHARED, "where": _where, "zeros_like": _like(0.0), "ones_like": _like(1.0),
    "stack": _join(anp.stack), "cat": _join(anp.concatenate), "logaddexp": _bounded(anp.logaddexp),
    "nn.functional.relu": _SHARED["relu"], "nn.functional.sigmoid": _sigmoid,
    "nn.functional.softmax": _softmax, "nn.functional.log_softmax": _log_softmax,
    "nn.functional.logsigmoid": lambda x: -anp.logaddexp(0.0, -x),
    "nn.functional.softplus": lambda x: anp.logaddexp(0.0, x),
    "_C._nn.softplus": lambda x: anp.logaddexp(0.0, x),
    "_C._nn.log_sigmoid": lambda x: -anp.logaddexp(0.0, -x),
}  # fmt: skip

# The operations that take lists of tensors, or masks in an index.
TAKE_ARRAYS = frozenset({"torch.stack", "torch.cat", "operator.getitem"})
METHODS: dict[str, Operation] = {
    **_SHARED, "float": _float, "double": _float, "to": _to, "size": _size, "view": _reshape,
    "dim": lambda x: len(anp.shape(x)), "contiguous": lambda x: x,
    "masked_fill": lambda x, mask, value: _where3(mask, value, x),
}  # fmt: skip
FUNCTIONS: dict[str, Operation] = {
    **{f"torch.{name}": function for name, function in _TORCH.items()},
    **{f"math.{name}": _UNARY[name] for name in ("exp", "log", "sqrt", "tanh", "sin", "cos")},
    **{f"operator.{name}": _ARITHMETIC[name] for name in ("add", "sub", "mul", "pow")},
    **{f"operator.{name}": function for name, function in _COMPARISONS.items()},
    "operator.truediv": _divide, "operator.neg": anp.negative, "operator.abs": anp.abs,
    "operator.pos": lambda x: x, "operator.getitem": _getitem,
    "operator.and_": _bounded(anp.logical_and), "operator.or_": _bounded(anp.logical_or),
    "operator.invert": anp.logical_not, "math.pow": _power,
    "getattr": _getattr,
    "builtins.getattr": _getattr,
}  # fmt: skip
