"""Futures of clients that, as in former releases, can be used as the client."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from concurrent.futures import Future as ConcurrentFuture
from typing import Any, TypeVar

from tinkex.tinker._futures import APIFuture, AwaitableConcurrentFuture
from tinkex.tinker._twins import superseded

C = TypeVar("C")
K = TypeVar("K", bound=type)

_INSTEAD = "`.result()` of the future, or `await` it, to get the client, and the client"


class BackcompatClientFuture(APIFuture[C]):
    """A future of a client; using it as the client is deprecated."""

    def __init__(self, future: AwaitableConcurrentFuture[C]) -> None:
        self._future = future

    def result(self, timeout: float | None = None) -> C:
        """Wait for the client."""
        return self._future.result(timeout)

    async def result_async(self, timeout: float | None = None) -> C:
        """Wait for the client without blocking the event loop."""
        return await self._future.result_async(timeout)

    def future(self) -> ConcurrentFuture[C]:
        """Return the `concurrent.futures.Future`."""
        return self._future.future()

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        warnings.warn(f"use {_INSTEAD} instead", FutureWarning, stacklevel=2)
        return getattr(self.result(), name)

    def __repr__(self) -> str:
        future = self.future()
        state: object = "pending"
        if future.done():
            state = "cancelled" if future.cancelled() else future.exception() or future.result()
        return f"<{type(self).__name__}: {state!r}>"


def forwarding(client: type) -> Callable[[K], K]:
    """Add the methods of a client to a class of futures; each waits for the client first."""

    def decorate(cls: K) -> K:
        for name, method in vars(client).items():
            # A static method needs no client.
            is_one = callable(method) and not isinstance(method, staticmethod)
            if is_one and not name.startswith("_") and not hasattr(APIFuture, name):
                setattr(cls, name, _forwarder(name, f"{cls.__qualname__}.{name}"))
        return cls

    return decorate


def _forwarder(name: str, qualname: str) -> Any:
    def forward(self: Any, *args: Any, **kwargs: Any) -> Any:
        return getattr(self.result(), name)(*args, **kwargs)

    async def forward_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        return await getattr(await self.result_async(), name)(*args, **kwargs)

    function: Any = forward_async if name.endswith("_async") else forward
    function.__name__, function.__qualname__ = name, qualname
    function.__doc__ = f"Wait for the client, and call its `{name}`; deprecated."
    return superseded(_INSTEAD)(function)
