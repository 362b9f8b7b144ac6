"""Results that are still being made: submit now, wait later."""

from __future__ import annotations

import concurrent.futures
import contextlib
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ALL_COMPLETED, FIRST_COMPLETED, FIRST_EXCEPTION
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from tinkex.clock import Clock
from tinkex.errors import FutureTimeoutError, TinkexError
from tinkex.events.bus import is_heard
from tinkex.polling import Done
from tinkex.queue_state import QueueObserver, QueueStateChange, QueueWatch, kind_of, reason_of, tell
from tinkex.scope import Scope
from tinkex.work import Work

if TYPE_CHECKING:
    from tinkex.told_future import ToldFuture

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

PATIENT = 3600.0
# A poller may stop without a result, and nobody would wake those who wait for it.
LOOK_AGAIN = 0.2
# Seconds of waiting after which a line is logged; then one each minute.
NARRATE_AT = (5.0, 15.0, 60.0)


class Background(Protocol):
    """Step futures that somebody is interested in without waiting in `result`."""

    def watch(self, future: Future[Any]) -> None:
        """Begin, or go on, stepping the future."""
        ...


class _Waiters(list[Any]):
    """Notice when `concurrent.futures.wait` or `as_completed` begins to wait for a future.

    Both put a waiter into this list and then sleep until somebody else finishes the future, so
    somebody has to.
    """

    def __init__(self, future: Future[Any]) -> None:
        super().__init__()
        self._future = future

    def append(self, waiter: Any) -> None:
        super().append(waiter)
        self._future._watch()


class Future(concurrent.futures.Future[T]):
    """Hold a result that the server is making.

    It is a `concurrent.futures.Future`: `result`, `done`, `exception`, callbacks, and the
    standard `wait` and `as_completed` work. Nothing runs for it until somebody wants it: `result`
    polls on the caller's own thread and stops when the caller stops; `done`, callbacks and the
    waiting functions let a background thread poll.

    >>> future = training.forward_backward(data, "cross_entropy")
    >>> future.result(timeout=60).loss
    12.5

    A wait that gives up, or is interrupted, leaves the future as it was.

    Attributes:
        operation: What was asked for, such as "forward_backward".
        session_id: The session in which it was asked for.
        submitted_at: Monotonic seconds of the moment it was asked for.
    """

    def __init__(
        self,
        work: Work[T],
        *,
        operation: str,
        clock: Clock,
        background: Background,
        session_id: str | None = None,
        subject: str | None = None,
        queue_watch: QueueWatch | None = None,
        scope: Scope | None = None,
    ) -> None:
        super().__init__()
        self._waiters: Any = _Waiters(self)
        self._work = work
        self._clock = clock
        self._background = background
        self._stepping = threading.Lock()
        self._not_before = clock.now()
        self._subject = subject
        self._queue_watch = queue_watch
        self._queue_callbacks: list[QueueObserver] = []
        self._queue_heard: tuple[str, str | None] | None = None
        self.operation = operation
        self.session_id = session_id
        self.submitted_at = clock.now()
        self._cancel_work: Callable[[], None] | None = getattr(work, "cancel", None)
        if self._cancel_work is None:
            # It has its place in a model's order, so there is nothing to call back.
            self.set_running_or_notify_cancel()
        self._told = self._teller(scope)

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
            timeout: Seconds; None waits as long as the server keeps saying that it is at work. With
                0 it only looks, and a background thread goes on fetching.

        Raises:
            FutureTimeoutError: The time is over; the future stays valid, so call again.
            RequestFailedError: The job failed.
            TinkexError: The result cannot be had; see the error's class.
        """
        self._wait_done(timeout)
        return super().result(0)

    def exception(self, timeout: float | None = None) -> BaseException | None:
        """Wait like `result` and return the error, or None for a good result."""
        self._wait_done(timeout)
        return super().exception(0)

    @property
    def settled(self) -> bool:
        """Tell whether the result is there, and leave it at that (`done` begins to fetch it)."""
        return super().done()

    def done(self) -> bool:
        """Tell whether the result is there, and let a background thread fetch it if not."""
        self._watch()
        return self.settled

    def add_done_callback(self, fn: Callable[[concurrent.futures.Future[T]], object]) -> None:
        """Call a function with this future when the result is there; a background thread waits."""
        super().add_done_callback(fn)
        self._watch()

    def add_queue_state_callback(self, observer: QueueObserver) -> None:
        """Call a function with a `QueueStateChange` whenever the server's queue changes its mind.

        >>> future.add_queue_state_callback(lambda change: print(change.state, change.reason))

        It is called at once if something was heard already, and then by whichever thread polls; so
        it hears nothing while nobody waits. `ServiceClient(on_queue_state=...)` hears of all
        requests.
        """
        self._queue_callbacks.append(observer)
        if self._queue_heard is not None:
            tell(observer, self._queue_change(*self._queue_heard))

    def cancel(self) -> bool:
        """Give up a sample that is not there yet; return whether it is given up.

        The server is told, if it listens, and stops computing. Whoever waits gets a
        `concurrent.futures.CancelledError`. A training request cannot be given up: it has its
        place in the model's order, so the answer is False and nothing happens.
        """
        if self._cancel_work is None or not super().cancel():
            return False
        with self._condition:
            is_first = self._state == "CANCELLED"
            if is_first:
                self.set_running_or_notify_cancel()
        if is_first:
            if self._told:
                self._told.ended("cancelled")
            self._cancel_work()
        return True

    def running(self) -> bool:
        """Tell whether the result is still to come."""
        return not self.settled

    def step(self, patience: float = PATIENT) -> float | None:
        """Do one exchange, unless another thread is doing one or the server asked for a pause.

        Returns:
            The seconds to wait before the next step; None if there is none to do here, because
            the future is done or another thread is at it.
        """
        if not self._stepping.acquire(blocking=False):
            return None
        try:
            return self._step(patience)
        finally:
            self._stepping.release()

    def abandon(self) -> None:
        """Free what is held for a result that nobody will fetch any more."""
        if self._stepping.acquire(blocking=False):
            try:
                self._work.abandon()
                if self._told:
                    self._told.ended("cancelled")
            finally:
                self._stepping.release()

    def _step(self, patience: float) -> float | None:
        if self.settled:
            return None
        pause = self._not_before - self._clock.now()
        if pause > 0:
            return pause
        try:
            with self._told.at_work() if self._told else contextlib.nullcontext():
                outcome = self._work.step(patience)
        except Exception as error:  # noqa: BLE001 - whoever asks for the result gets it
            if self.session_id and getattr(error, "session_id", self.session_id) is None:
                error.session_id = self.session_id  # type: ignore[attr-defined]
            if isinstance(error, TinkexError):
                # Which of our lines noticed it tells the user nothing; a mistake of ours keeps them.
                error.__traceback__ = None
            if self._told:
                self._told.ended("error", error)
            # Cancelled meanwhile: nobody asks any more.
            with contextlib.suppress(concurrent.futures.InvalidStateError):
                self.set_exception(error)
            return None
        if isinstance(outcome, Done):
            if self._told:
                self._told.ended("ok")
            with contextlib.suppress(concurrent.futures.InvalidStateError):
                self.set_result(outcome.value)
            return None
        self._not_before = self._clock.now() + outcome
        self._note_queue()
        return outcome

    def _note_queue(self) -> None:
        promise = self._work.promise
        if promise is None or promise.queue_state == "unknown":
            return
        heard = promise.queue_state, promise.queue_state_reason
        if heard == self._queue_heard:
            return
        self._queue_heard = heard
        change = self._queue_change(*heard)
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
            subject=self._subject,
            session_id=self.session_id,
        )

    def _watch(self) -> None:
        if not self.settled:
            self._background.watch(self)

    def _wait_done(self, timeout: float | None) -> None:
        started = self._clock.now()
        narrator = _Narrator(self)
        if timeout is not None and timeout <= 0:
            self._watch()
        while not self.settled:
            waited = self._clock.now() - started
            left = PATIENT if timeout is None else timeout - waited
            if left <= 0:
                raise self._timeout_error(timeout or 0.0)
            narrator.speak(waited)
            pause = self.step(min(left, narrator.silence(waited)))
            if pause:
                self._clock.sleep(min(pause, left))
            elif pause is None:
                # Another thread is polling; it wakes us when the result is there.
                with self._condition:
                    if not self.settled:
                        self._condition.wait(min(left, LOOK_AGAIN))

    def _timeout_error(self, timeout: float) -> FutureTimeoutError:
        promise = self._work.promise
        heard = f"; last heard from the server: {promise.heard()}" if promise else ""
        error = FutureTimeoutError(
            f"waited {timeout:g} s for {self.operation}{heard}. The future is still valid: call "
            ".result() again to go on waiting",
            request_id=self.request_id,
            session_id=self.session_id,
        )
        if self._told:
            self._told.trouble(error)
        return error

    def _teller(self, scope: Scope | None) -> ToldFuture | None:
        if scope is None and not is_heard():
            return None
        from tinkex.told_future import ToldFuture

        return ToldFuture(self, scope, self._subject, self._clock)

    def __repr__(self) -> str:
        state = "done" if self.settled else f"pending, queue {self.queue_state}"
        return f"<Future {self.operation} {self.request_id or 'not sent yet'}: {state}>"

    def __reduce__(self) -> Any:
        raise TypeError("a Future cannot be pickled; send its result instead")


class _Narrator:
    """Say at growing intervals that a wait goes on, and what was last heard."""

    def __init__(self, future: Future[Any]) -> None:
        self._future = future
        self._next = 0

    def speak(self, waited: float) -> None:
        if waited < self._at(self._next):
            return
        while waited >= self._at(self._next):
            self._next += 1
        promise = self._future._work.promise
        log.info(
            "waiting for %s %s since %.0f s; last heard: %s",
            self._future.operation,
            self._future.request_id or "(not sent yet)",
            waited,
            promise.heard() if promise else "nothing yet",
        )

    def silence(self, waited: float) -> float:
        """Return the seconds until the next line is due, if anybody would read it.

        A poll that the server still holds is cut short for a line, and that costs a connection.
        """
        if not log.isEnabledFor(logging.INFO):
            return PATIENT
        return max(self._at(self._next) - waited, 0.05)

    def _at(self, line: int) -> float:
        beyond = line - len(NARRATE_AT) + 1
        return NARRATE_AT[line] if beyond <= 0 else NARRATE_AT[-1] + 60.0 * beyond


def wait(
    futures: Iterable[Future[T]], timeout: float | None = None, return_when: str = ALL_COMPLETED
) -> tuple[set[Future[T]], set[Future[T]]]:
    """Wait for several futures and return those that are done and those that are not.

    As `concurrent.futures.wait`, which works just as well.
    """
    done, pending = concurrent.futures.wait(futures, timeout, return_when)
    return set(done), set(pending)  # type: ignore[arg-type]


def as_completed(futures: Iterable[Future[T]], timeout: float | None = None) -> Iterator[Future[T]]:
    """Yield futures as they are done.

    As `concurrent.futures.as_completed`, which works just as well.
    """
    return concurrent.futures.as_completed(futures, timeout)  # type: ignore[return-value]
