"""Results that are still being made: submit now, wait later."""

from __future__ import annotations

import concurrent.futures
import logging
import os
import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION
from typing import TYPE_CHECKING, Any, TypeVar

from tinkex._base.lazy import LazyModule
from tinkex._core import loop
from tinkex._core.instrumentation import FutureObserver
from tinkex._core.operation_context import OperationContext
from tinkex._core.queue_state import (
    QueueObserver,
    QueueStateChange,
    QueueWatch,
    kind_of,
    reason_of,
    tell,
)
from tinkex.errors import ClientClosedError, FutureTimeoutError, TinkexError

if TYPE_CHECKING:
    import asyncio

    from tinkex._core.polling import Work
else:
    asyncio = LazyModule("asyncio")

T = TypeVar("T")

__all__ = [
    "ALL_COMPLETED",
    "FIRST_COMPLETED",
    "FIRST_EXCEPTION",
    "Future",
    "as_completed",
    "wait",
]

log = logging.getLogger("tinkex.futures")

# Seconds of waiting after which a line is logged; then one each minute.
NARRATE_AT = (5.0, 15.0, 60.0)


class Future(concurrent.futures.Future[T]):
    """A result that the server is making.

    It is a `concurrent.futures.Future`: `result`, `done`, `exception`, callbacks, and the
    standard `wait` and `as_completed` work; and it can be awaited. The result is fetched as soon as
    it is there, whether or not it was asked for.

    >>> future = training.forward_backward(data, "cross_entropy")
    >>> future.result(timeout=60).loss
    12.5

    A wait that gives up, or is interrupted, leaves the future as it was. Closing its client fails
    it with a `ClientClosedError`.

    Attributes:
        operation: What was asked for, such as "forward_backward".
        session_id: The session in which it was asked for.
        subject: The model or sampling session that it belongs to.
        submitted_at: Monotonic seconds of the moment it was asked for.
    """

    def __init__(
        self,
        work: Work[T],
        *,
        operation: str,
        session_id: str | None = None,
        subject: str | None = None,
        queue_watch: QueueWatch | None = None,
        scope: OperationContext | None = None,
    ) -> None:
        super().__init__()
        self._work = work
        self._queue_watch = queue_watch
        self._queue_callbacks: list[QueueObserver] = []
        self.operation = operation
        self.session_id = session_id
        self.subject = subject
        self.submitted_at = time.monotonic()
        self._process = os.getpid()
        self._cancel_work: Callable[[], None] | None = getattr(work, "cancel", None)
        self._cancelling = threading.Lock()
        self._was_read = False
        if self._cancel_work is None:
            # It has its place in a model's order, so there is nothing to call back.
            self.set_running_or_notify_cancel()
        work.on_queue_state(self._note_queue)
        self._observer = FutureObserver(self, scope)

    @property
    def request_id(self) -> str | None:
        """Return the server's id of the request, once there is one."""
        return self._work.promise.request_id if self._work.promise else None

    @property
    def queue_state(self) -> str:
        """Return what the server last said: "active", "paused_capacity", … or "unknown"."""
        return self._work.promise.queue_state if self._work.promise else "unknown"

    @property
    def queue_state_reason(self) -> str | None:
        """Return the server's reason for the queue state, if it gave one."""
        return self._work.promise.queue_state_reason if self._work.promise else None

    def result(self, timeout: float | None = None) -> T:
        """Wait for the result and return it.

        Args:
            timeout: Seconds; None waits as long as the server keeps saying that it is at work, 0
                does not wait.

        Raises:
            FutureTimeoutError: The time is over; the future stays valid, so call again.
            RequestFailedError: The job failed.
            ClientClosedError: The client was closed before the result came.
            TinkexError: The result cannot be had; see the error's class.
        """
        self._wait(timeout)
        self._was_read = True
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait like `result` and return the error, or None for a good result."""
        self._wait(timeout)
        self._was_read = True
        return super().exception(0)

    @property
    def _failed_unread(self) -> bool:
        """Return whether it failed and no caller has been given the error."""
        if self._was_read or not self.done() or self.cancelled():
            return False
        return super().exception(0) is not None

    def running(self) -> bool:
        """Return whether the result is still to come."""
        return not self.done()

    def add_done_callback(self, fn: Callable[[concurrent.futures.Future[T]], object]) -> None:
        """Call a function with this future when the result is there, at once if it is.

        Callbacks run one after the other on a thread of their own, so they may block; what they
        raise is logged.
        """
        if self.done():
            super().add_done_callback(fn)
        else:
            super().add_done_callback(lambda _: loop.call_back(fn, self))

    def when_done(self, function: Callable[[Future[T]], object]) -> None:
        """Call a function that does not block with this future, on the thread that completes it."""
        super().add_done_callback(lambda _: function(self))

    def add_queue_state_callback(self, observer: QueueObserver) -> None:
        """Call a function with a `QueueStateChange` whenever the server's queue changes its mind.

        >>> future.add_queue_state_callback(lambda change: print(change.state, change.reason))

        It is called at once if something was heard already, and then on the thread that polls, so it
        must not block. `ServiceClient(on_queue_state=...)` hears of all requests.
        """
        self._queue_callbacks.append(observer)
        if self.queue_state != "unknown":
            tell(observer, self._queue_change(self.queue_state, self.queue_state_reason))

    def cancel(self) -> bool:
        """Give up a sample that is not there yet; return whether it is given up.

        The server is told, if it listens, and stops computing. Waiting callers get a
        `concurrent.futures.CancelledError`. A training request cannot be given up: it has its
        place in the model's order, so the result is False and nothing happens.
        """
        if self._cancel_work is None:
            return False
        with self._cancelling:
            if self.cancelled():
                return True
            if not super().cancel():
                return False
            self.set_running_or_notify_cancel()
        self._observer.ended("cancelled")
        self._cancel_work()
        return True

    async def _run(self, unfinished: dict[Future[Any], asyncio.Task[None]]) -> None:
        """Do the work and take its result; on the loop's thread."""
        try:
            value = await self._work.result()
        except Exception as error:  # noqa: BLE001 - the caller of `result` gets it
            self._fail(error)
            return
        finally:
            unfinished.pop(self, None)
        self._observer.ended("ok")
        try:
            self.set_result(value)
        except concurrent.futures.InvalidStateError:
            # Cancelled or closed meanwhile: no caller waits any more.
            return

    def _fail(self, error: Exception) -> None:
        """End with an error, unless the result is there already."""
        if self.session_id and getattr(error, "session_id", self.session_id) is None:
            error.session_id = self.session_id  # type: ignore[attr-defined]
        if isinstance(error, TinkexError):
            # Which of our lines noticed it tells the user nothing; a mistake of ours keeps them.
            error.__traceback__ = None
        self._observer.ended("error", error)
        try:
            self.set_exception(error)
        except concurrent.futures.InvalidStateError:
            return

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.wrap_future(self).__await__()

    def _note_queue(self, state: str, said: str | None) -> None:
        change = self._queue_change(state, said)
        if self._queue_watch is not None:
            self._queue_watch.note(change)
        for observer in list(self._queue_callbacks):
            tell(observer, change)

    def _queue_change(self, state: str, said: str | None) -> QueueStateChange:
        return QueueStateChange(
            state=state,
            reason=reason_of(state, said, kind_of(self.operation)),
            operation=self.operation,
            request_id=self.request_id,
            subject=self.subject,
            session_id=self.session_id,
        )

    def _check_process(self) -> None:
        """Raise if the result comes to another process, which this one was forked from.

        Raises:
            ClientClosedError: It would be waited for indefinitely.
        """
        if self._process != os.getpid() and not self.done():
            raise ClientClosedError(
                f"the {self.operation} was asked for before the process forked, so its result comes "
                "to the parent; wait for it there, or ask again with a new ServiceClient",
                request_id=self.request_id,
                session_id=self.session_id,
            )

    def _wait(self, timeout: float | None) -> None:
        if self.done():
            return
        self._check_process()
        if timeout is not None and timeout <= 0:
            raise self._timeout_error(0.0)
        loop.check_outside()
        began = time.monotonic()
        for due in _narration():
            waited = time.monotonic() - began
            left = due - waited if timeout is None else min(due, timeout) - waited
            if loop.wait_for(self, max(left, 0.0), done=super().exception):
                return
            if timeout is not None and time.monotonic() - began >= timeout:
                raise self._timeout_error(timeout)
            self._narrate(time.monotonic() - began)

    def _narrate(self, waited: float) -> None:
        promise = self._work.promise
        log.info(
            "waiting for %s %s since %.0f s; last heard: %s",
            self.operation,
            self.request_id or "(not sent yet)",
            waited,
            promise.heard() if promise else "nothing yet",
        )

    def _timeout_error(self, timeout: float) -> FutureTimeoutError:
        promise = self._work.promise
        heard = f"; last heard from the server: {promise.heard()}" if promise else ""
        error = FutureTimeoutError(
            f"waited {timeout:g} s for {self.operation}{heard}. The future is still valid: call "
            ".result() again to continue waiting",
            request_id=self.request_id,
            session_id=self.session_id,
        )
        self._observer.trouble(error)
        return error

    def __repr__(self) -> str:
        state = "done" if self.done() else f"pending, queue {self.queue_state}"
        return f"<Future {self.operation} {self.request_id or 'not sent yet'}: {state}>"

    def __reduce__(self) -> Any:
        raise TypeError("a Future cannot be pickled; send its result instead")


class Unfinished:
    """A session's futures whose results are still to come."""

    def __init__(self) -> None:
        self._futures: dict[Future[Any], asyncio.Task[None]] = {}
        self._error: Callable[[], Exception] | None = None

    def start(self, future: Future[Any]) -> None:
        """Begin a future's work, from any thread."""
        loop.call_soon(self._start, future)

    def fail(self, error: Callable[[], Exception]) -> None:
        """Fail each future, and each that comes later, with an error of its own."""
        self._error = error
        for future in list(self._futures):
            future._fail(error())

    def cancel(self) -> None:
        """End what is still done for futures that no caller waits for any more."""
        loop.call_soon(self._cancel)

    def _start(self, future: Future[Any]) -> None:
        if self._error is not None:
            future._fail(self._error())
        elif not future.cancelled():
            running = future._run(self._futures)
            self._futures[future] = loop.create_task(running)

    def _cancel(self) -> None:
        for future, task in list(self._futures.items()):
            if self._error is not None:
                future._fail(self._error())
            task.cancel()


def _narration() -> Iterator[float]:
    """Yield after how many seconds of waiting a line is due."""
    yield from NARRATE_AT
    due = NARRATE_AT[-1]
    while True:
        due += 60.0
        yield due


def wait(
    futures: Iterable[Future[T]], timeout: float | None = None, return_when: str = ALL_COMPLETED
) -> tuple[set[Future[T]], set[Future[T]]]:
    """Wait for several futures and return those that are done and those that are not.

    As `concurrent.futures.wait`, which works just as well.
    """
    done, pending = concurrent.futures.wait(_of_this_process(futures), timeout, return_when)
    return set(done), set(pending)  # type: ignore[arg-type]


def as_completed(futures: Iterable[Future[T]], timeout: float | None = None) -> Iterator[Future[T]]:
    """Yield futures as they are done.

    As `concurrent.futures.as_completed`, which works just as well.
    """
    return concurrent.futures.as_completed(_of_this_process(futures), timeout)  # type: ignore[return-value]


def _of_this_process(futures: Iterable[Future[T]]) -> list[Future[T]]:
    found = list(futures)
    for future in found:
        if isinstance(future, Future):
            future._check_process()
    return found
