"""The deprecated ``…_async`` form of each method."""

from __future__ import annotations

import functools
from collections.abc import Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, TypeVar

from tinkex.tinker._futures import APIFuture

try:
    from typing_extensions import deprecated
except ImportError as error:
    from tinkex.errors import MissingDependencyError

    raise MissingDependencyError("tinkex.tinker", "tinker") from error


class ExperimentalWarning(FutureWarning):
    """A call of something that may change in any release of the official package."""


S = TypeVar("S")
P = ParamSpec("P")
T = TypeVar("T")


def awaiting(
    method: Callable[Concatenate[S, P], APIFuture[T]],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Return the twin of a method that awaits its future."""

    async def twin(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        return await _overridden(self, method)(*args, **kwargs)

    named: Callable[Concatenate[S, P], Coroutine[Any, Any, T]] = _named(twin, method)
    return named


def returning(
    method: Callable[Concatenate[S, P], T],
) -> Callable[Concatenate[S, P], Coroutine[Any, Any, T]]:
    """Return the twin of a method that returns what the method returns."""

    async def twin(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        return _overridden(self, method)(*args, **kwargs)

    named: Callable[Concatenate[S, P], Coroutine[Any, Any, T]] = _named(twin, method)
    return named


def _overridden(client: Any, method: Callable[..., T]) -> Callable[..., T]:
    """Return the client's method; libraries change it, and expect that of its twin too."""
    found: Callable[..., T] = getattr(client, method.__name__)
    return found


def superseded(instead: str) -> Callable[[Callable[P, T]], Callable[P, T]]:
    """Mark a method as deprecated, with what to call instead."""
    return deprecated(f"use {instead} instead", category=FutureWarning)


def experimental(method: Callable[P, T]) -> Callable[P, T]:
    """Mark a method that may change in any release of the official package."""
    text = f"{method.__qualname__} may change in any release of the official package"
    return deprecated(text, category=ExperimentalWarning)(method)


def _named(twin: Any, method: Callable[..., Any]) -> Any:
    functools.update_wrapper(twin, method)
    del twin.__wrapped__
    name = method.__qualname__
    twin.__name__, twin.__qualname__ = f"{method.__name__}_async", f"{name}_async"
    twin.__doc__ = f"Deprecated twin of `{method.__name__}`, whose future can be awaited."
    marked = superseded(f"`await {name}(...)`")(twin)
    # What editors and `inspect` show: the method's own parameters.
    marked.__signature__ = _signature(method)  # type: ignore[attr-defined]
    return marked


def _signature(method: Callable[..., Any]) -> Any:
    import inspect

    return inspect.signature(method)
