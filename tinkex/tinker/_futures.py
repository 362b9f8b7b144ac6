"""Results that are still being made."""

from __future__ import annotations

import asyncio
import contextlib
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Generator
from concurrent.futures import CancelledError, InvalidStateError
from concurrent.futures import Future as ConcurrentFuture
from typing import Any, Generic, Self, TypeVar

from tinkex._core import loop
from tinkex._core.futures import Future, fail_in_child, forked_error
from tinkex.tinker._exceptions import translated

T = TypeVar("T")


class APIFuture(ABC, Generic[T]):
    """A result that can be waited for, by blocking or by ``await``."""

    @abstractmethod
    async def result_async(self, timeout: float | None = None) -> T:
        """Wait for the result without blocking the event loop.

        Raises:
            TimeoutError: It did not come within `timeout` seconds.
        """

    @abstractmethod
    def result(self, timeout: float | None = None) -> T:
        """Wait for the result.

        Raises:
            TimeoutError: It did not come within `timeout` seconds.
        """

    @abstractmethod
    def future(self) -> ConcurrentFuture[T]:
        """Return the `concurrent.futures.Future` of the result."""

    async def coroutine(self) -> T:
        """Await the result, for functions that want a coroutine."""
        return await self

    def __await__(self) -> Generator[Any, None, T]:
        return self.result_async().__await__()


class AwaitableConcurrentFuture(APIFuture[T]):
    """A `concurrent.futures.Future` that can be awaited."""

    def __init__(self, future: ConcurrentFuture[T]) -> None:
        self._future = future

    def result(self, timeout: float | None = None) -> T:
        """Wait for the result."""
        return self._future.result(timeout)

    async def result_async(self, timeout: float | None = None) -> T:
        """Wait for the result without blocking the event loop."""
        async with asyncio.timeout(timeout):
            return await asyncio.wrap_future(self._future)

    def future(self) -> ConcurrentFuture[T]:
        """Return the `concurrent.futures.Future`."""
        return self._future


def _forked() -> BaseException:
    return translated(forked_error())


class Result(ConcurrentFuture[T], APIFuture[T]):
    """The result of one of our futures, in the official package's form.

    It is a `concurrent.futures.Future` as well, since the first releases of the official package
    returned those.

    Args:
        translate: From our result to the official package's.
        sent: The future of our future, while the request is still being sent.
    """

    def __init__(
        self,
        translate: Callable[[Any], T],
        sent: ConcurrentFuture[Future[Any]] | None = None,
    ) -> None:
        super().__init__()
        self._translate = translate
        self._native: Future[Any] | None = None
        self._sent = sent
        fail_in_child(self, _forked)
        if sent is not None:
            sent.add_done_callback(self._follow_sent)

    def follow(self, native: Future[Any]) -> Self:
        """Complete this future with the outcome of one of ours, and return it."""
        self._native = native
        native.when_done(self._settle)
        return self

    def _follow_sent(self, sent: ConcurrentFuture[Future[Any]]) -> None:
        if sent.cancelled() or sent.exception() is not None:
            self._settle(sent)
        else:
            self.follow(sent.result())

    def _settle(self, outcome: ConcurrentFuture[Any]) -> None:
        try:
            try:
                value = self._translate(outcome.result(0))
            except CancelledError:
                if super().cancel():
                    self.set_running_or_notify_cancel()
            except Exception as error:  # noqa: BLE001 - the caller of `result` gets it
                self.set_exception(translated(error))
            else:
                self.set_result(value)
        except InvalidStateError:
            # Its user has cancelled it meanwhile.
            return
        finally:
            # Both forms of a result in memory would keep the garbage collector busy.
            self._native = self._sent = None

    def result(self, timeout: float | None = None) -> T:
        """Wait for the result."""
        if not self.done():
            self._wait(timeout)
        return super().result()

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait like `result` and return the error, or None for a good result."""
        if not self.done():
            self._wait(timeout)
        return super().exception()

    def _wait(self, timeout: float | None) -> None:
        began = time.monotonic()
        # Taken once: when the result is there, they are gone.
        native, sent = self._native, self._sent
        with contextlib.suppress(CancelledError):
            if native is None and sent is not None:
                if sent.exception(timeout) is not None:
                    return
                native = sent.result()
            if native is not None:
                left = None if timeout is None else max(0.0, timeout - time.monotonic() + began)
                # It logs what it waits for, and its TimeoutError names the last status.
                native.exception(left)

    async def result_async(self, timeout: float | None = None) -> T:
        """Wait for the result without blocking the event loop."""
        async with asyncio.timeout(timeout):
            return await asyncio.wrap_future(self)

    def future(self) -> ConcurrentFuture[T]:
        """Return the future itself."""
        return self

    def cancel(self) -> bool:
        """Cancel a pending sample; return whether it is cancelled."""
        native = self._native
        return self.cancelled() or (native is not None and native.cancel())

    def add_done_callback(self, fn: Callable[[ConcurrentFuture[T]], object]) -> None:
        """Call a function with this future when the result is there, in the callbacks' thread."""
        if self.done():
            super().add_done_callback(fn)
        else:
            super().add_done_callback(lambda _: loop.call_back(fn, self))

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.wrap_future(self).__await__()
