"""Futures: results that are still pending."""

from __future__ import annotations

import concurrent.futures
import logging
import os
import threading
import time
import weakref
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
    Reports,
    kind_of,
    reason_of,
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

# Seconds of waiting after which a line is logged; afterwards once per minute.
NARRATE_AT = (5.0, 15.0, 60.0)

# Held for moments: a change and a new observer of it must not miss each other.
_queue_lock = threading.Lock()


class Future(concurrent.futures.Future[T]):
    """A pending result.

    A `concurrent.futures.Future`: `result`, `done`, `exception`, callbacks, and the standard `wait`
    and `as_completed` work; it can also be awaited. The result is fetched as soon as it is
    available, whether or not the program waits for it.

    >>> future = training.forward_backward(data, "cross_entropy")
    >>> future.result(timeout=60).loss
    12.5

    A wait that times out or is interrupted leaves the future unchanged. Closing its client fails it
    with a `ClientClosedError`.

    Attributes:
        operation: The call, such as "forward_backward".
        session_id: The session of the call.
        subject: The model or sampling session that it belongs to.
        submitted_at: Monotonic seconds of the call.
    """

    def __init__(
        self,
        work: Work[T],
        *,
        operation: str,
        session_id: str | None = None,
        subject: str | None = None,
        queue_watch: QueueWatch | None = None,
        context: OperationContext | None = None,
        queue_state_observer: QueueObserver | None = None,
    ) -> None:
        super().__init__()
        self._work = work
        self._queue_watch = queue_watch
        self._queue_reports = [Reports(queue_state_observer)] if queue_state_observer else []
        self._queue_change: QueueStateChange | None = None
        self.operation = operation
        self.session_id = session_id
        self.subject = subject
        self.submitted_at = time.monotonic()
        self._cancel_work: Callable[[], None] | None = getattr(work, "cancel", None)
        self._cancelling = threading.Lock()
        self._was_read = False
        if self._cancel_work is None:
            # Its sequence number is taken, so it cannot be cancelled.
            self.set_running_or_notify_cancel()
        work.on_queue_state(self._note_queue)
        self._observer = FutureObserver(self, context)

    @property
    def request_id(self) -> str | None:
        """Return the server's request id, once there is one."""
        return self._work.promise.request_id if self._work.promise else None

    @property
    def queue_state(self) -> str:
        """Return the latest queue state: "active", "paused_capacity", … or "unknown"."""
        return self._work.promise.queue_state if self._work.promise else "unknown"

    @property
    def queue_state_reason(self) -> str | None:
        """Return the server's reason for the queue state, if it gave one."""
        return self._work.promise.queue_state_reason if self._work.promise else None

    def result(self, timeout: float | None = None) -> T:
        """Wait for the result and return it.

        Args:
            timeout: Seconds. None waits as long as the server reports progress; 0 does not
                wait.

        Raises:
            FutureTimeoutError: The timeout expired; the future stays valid, so call `result` again.
            RequestFailedError: The job failed.
            ClientClosedError: The client was closed before the result came.
            TinkexError: The result is unavailable; see the error's class.
        """
        self._wait(timeout)
        self._was_read = True
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait like `result` and return the error, or None if there is none."""
        self._wait(timeout)
        self._was_read = True
        return super().exception(0)

    @property
    def has_unread_error(self) -> bool:
        """Return whether it failed and neither `result` nor `exception` has returned the error."""
        if self._was_read or not self.done() or self.cancelled():
            return False
        return super().exception(0) is not None

    def running(self) -> bool:
        """Return whether the result is pending."""
        return not self.done()

    def add_done_callback(self, fn: Callable[[concurrent.futures.Future[T]], object]) -> None:
        """Call a function with this future when it is done; at once if it is done already.

        Callbacks run one at a time on a dedicated thread, so they may block; their exceptions are
        logged.
        """
        if self.done():
            super().add_done_callback(fn)
        else:
            super().add_done_callback(lambda _: loop.call_back(fn, self))

    def when_done(self, function: Callable[[Future[T]], object]) -> None:
        """Call a non-blocking function with this future, on the thread that completes it."""
        super().add_done_callback(lambda _: function(self))

    def add_queue_state_callback(self, observer: QueueObserver) -> None:
        """Call a function with a `QueueStateChange` whenever the queue state changes.

        >>> future.add_queue_state_callback(lambda change: print(change.state, change.reason))

        A state that is already known is reported at once; later ones on the polling thread, so the
        function must not block. The argument `queue_state_observer` of a call does the same from the
        start, and `ServiceClient(on_queue_state=...)` observes all requests.
        """
        reports = Reports(observer)
        with _queue_lock:
            self._queue_reports.append(reports)
            if self._queue_change is not None:
                reports.add(self._queue_change)
        reports.report()

    def cancel(self) -> bool:
        """Cancel a pending sample; return whether it was cancelled.

        The server is notified, if it accepts cancellations, and stops computing. Waiting callers get
        a `concurrent.futures.CancelledError`. A training request cannot be cancelled, because its
        sequence number is taken: the method returns False and does nothing.
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

    async def _run(self, unfinished: dict[Future[Any], asyncio.Task[None] | None]) -> None:
        """Do the work and store its result; on the loop's thread."""
        try:
            value = await self._work.result()
        except Exception as error:  # noqa: BLE001 - raised by `result`
            self._fail(error)
        else:
            self._observer.ended("ok")
            try:
                self.set_result(value)
            except concurrent.futures.InvalidStateError:
                # Cancelled or closed in the meantime: no caller waits any more.
                return
        finally:
            unfinished.pop(self, None)
            # Without a circle, memory is free as soon as the caller drops the future.
            self._work.on_queue_state(None)

    def _fail(self, error: Exception) -> None:
        """Fail the future, unless it is done already."""
        if self.session_id and getattr(error, "session_id", self.session_id) is None:
            error.session_id = self.session_id  # type: ignore[attr-defined]
        if isinstance(error, TinkexError):
            # Our frames are no use to the user; a bug of ours keeps them.
            error.__traceback__ = None
        self._observer.ended("error", error)
        try:
            self.set_exception(error)
        except concurrent.futures.InvalidStateError:
            return

    def __await__(self) -> Generator[Any, None, T]:
        return asyncio.wrap_future(self).__await__()

    def _note_queue(self, state: str, reason: str | None) -> None:
        change = QueueStateChange(
            state=state,
            reason=reason_of(state, reason, kind_of(self.operation)),
            operation=self.operation,
            request_id=self.request_id,
            subject=self.subject,
            session_id=self.session_id,
        )
        with _queue_lock:
            self._queue_change = change
            observed = list(self._queue_reports)
            for reports in observed:
                reports.add(change)
        if self._queue_watch is not None:
            self._queue_watch.note(change)
        for reports in observed:
            reports.report()

    def _forked_error(self) -> ClientClosedError:
        return forked_error(
            f"the {self.operation}", request_id=self.request_id, session_id=self.session_id
        )

    def _wait(self, timeout: float | None) -> None:
        if self.done():
            return
        if timeout is not None and timeout <= 0:
            raise self._timeout_error(0.0)
        loop.check_outside()
        began = time.monotonic()
        for due in _log_times():
            waited = time.monotonic() - began
            left = due - waited if timeout is None else min(due, timeout) - waited
            if loop.wait_for(self, max(left, 0.0), done=super().exception):
                return
            if timeout is not None and time.monotonic() - began >= timeout:
                raise self._timeout_error(timeout)
            self._log_waiting(time.monotonic() - began)

    def _log_waiting(self, waited: float) -> None:
        promise = self._work.promise
        log.info(
            "waiting for %s %s for %.0f s; last status: %s",
            self.operation,
            self.request_id or "(not sent yet)",
            waited,
            promise.last_status() if promise else "nothing yet",
        )

    def _timeout_error(self, timeout: float) -> FutureTimeoutError:
        promise = self._work.promise
        last = f"; last status from the server: {promise.last_status()}" if promise else ""
        error = FutureTimeoutError(
            f"waited {timeout:g} s for {self.operation}{last}. The future is still valid: call "
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


def forked_error(
    what: str = "this call", *, request_id: str | None = None, session_id: str | None = None
) -> ClientClosedError:
    """Return the error of a call whose result arrives in the parent of a forked process."""
    return ClientClosedError(
        f"{what} was submitted before the process forked, so its result arrives in the parent; wait for "
        "it there, or call again with a new ServiceClient",
        request_id=request_id,
        session_id=session_id,
    )


class Unfinished:
    """A session's pending futures."""

    def __init__(self) -> None:
        # With their tasks, once they have started.
        self._futures: dict[Future[Any], asyncio.Task[None] | None] = {}
        self._error: Callable[[], Exception] | None = None
        _all_unfinished.add(self)

    def start(self, future: Future[Any]) -> None:
        """Start a future's work, from any thread."""
        self._futures[future] = None
        loop.call_soon(self._start, future)

    def fail(self, error: Callable[[], Exception]) -> None:
        """Fail each future, pending or added later, with a new error."""
        self._error = error
        for future in self._futures.copy():
            future._fail(error())

    def fail_in_child(self) -> None:
        """Fail each pending future in a forked child."""
        for future in self._futures.copy():
            _restart_failed(future, future._forked_error())

    def cancel(self) -> None:
        """Cancel the remaining work of futures that no caller waits for any more."""
        loop.call_soon(self._cancel)

    def _start(self, future: Future[Any]) -> None:
        if self._error is None and not future.cancelled():
            running = future._run(self._futures)
            self._futures[future] = loop.create_task(running)
            return
        del self._futures[future]
        if self._error is not None:
            future._fail(self._error())

    def _cancel(self) -> None:
        for future, task in self._futures.copy().items():
            if self._error is not None:
                future._fail(self._error())
            if task is not None:
                task.cancel()


_all_unfinished: weakref.WeakSet[Unfinished] = weakref.WeakSet()
# Other pending futures, with the error of each in a forked child.
_pending: weakref.WeakKeyDictionary[concurrent.futures.Future[Any], Callable[[], BaseException]] = (
    weakref.WeakKeyDictionary()
)


def fail_in_child(
    future: concurrent.futures.Future[T], error: Callable[[], BaseException] = forked_error
) -> concurrent.futures.Future[T]:
    """Fail a future in a forked child if it is pending then, and return it.

    The thread that completes it does not exist there.
    """
    _pending[future] = error
    concurrent.futures.Future.add_done_callback(future, _forget_done)
    return future


def _forget_done(future: concurrent.futures.Future[Any]) -> None:
    _pending.pop(future, None)


def _after_fork() -> None:
    # A thread of the parent may have held it.
    global _queue_lock
    _queue_lock = threading.Lock()
    for unfinished in list(_all_unfinished):
        unfinished.fail_in_child()
    for future, error in list(_pending.items()):
        _restart_failed(future, error())


def _restart_failed(future: concurrent.futures.Future[Any], error: BaseException) -> None:
    """Fail a future of the parent, in the child.

    It is initialized again, without the program's callbacks: a thread of the parent may have held its
    lock.
    """
    concurrent.futures.Future.__init__(future)
    concurrent.futures.Future.set_exception(future, error)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _log_times() -> Iterator[float]:
    """Yield the seconds of waiting after which a log line is due."""
    yield from NARRATE_AT
    due = NARRATE_AT[-1]
    while True:
        due += 60.0
        yield due


def wait(
    futures: Iterable[Future[T]], timeout: float | None = None, return_when: str = ALL_COMPLETED
) -> tuple[set[Future[T]], set[Future[T]]]:
    """Wait for several futures and return the sets of done and pending ones.

    Equivalent to `concurrent.futures.wait`.
    """
    done, pending = concurrent.futures.wait(futures, timeout, return_when)
    return set(done), set(pending)  # type: ignore[arg-type]


def as_completed(futures: Iterable[Future[T]], timeout: float | None = None) -> Iterator[Future[T]]:
    """Yield futures as they are done.

    Equivalent to `concurrent.futures.as_completed`.
    """
    return concurrent.futures.as_completed(futures, timeout)  # type: ignore[return-value]
