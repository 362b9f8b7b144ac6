"""Notification of observers when the server pauses requests."""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable
from typing import ClassVar, Literal

from attrs import frozen

from tinkex._base.clock import Clock
from tinkex._core.events.bus import Event, emit

log = logging.getLogger("tinkex.queue")

# A pause is logged now and then for each model or sampler, not at each poll.
SILENCE = 60.0

Kind = Literal["Training", "Sampling"]

# The usual reasons, for servers that give none.
_REASONS = {
    ("paused_rate_limit", "Sampling"): "concurrent sampler weights limit hit",
    ("paused_rate_limit", "Training"): "concurrent training clients rate limit hit",
    ("paused_capacity", "Sampling"): "Tinker backend is running short on capacity, please wait",
    ("paused_capacity", "Training"): "Tinker backend is running short on capacity, please wait",
}


@frozen(kw_only=True)
class QueueStateChange(Event):
    """The server's queue changed the state of a request.

    Attributes:
        state: "active", "paused_capacity", "paused_rate_limit", or another value of the server.
        reason: The server's reason, else the usual one for the state; None while active.
        operation: The call, such as "forward_backward".
        request_id: The id of the request, if it has one yet.
        subject: The model (training) or sampling session that the request belongs to.
        session_id: The session.
    """

    name: ClassVar[str] = "tinkex.queue.state_change"
    state: str
    reason: str | None
    operation: str
    request_id: str | None = None
    subject: str | None = None
    session_id: str | None = None

    @property
    def is_paused(self) -> bool:
        """Return whether the request waits for something other than its turn."""
        return self.state.startswith("paused")

    @property
    def kind(self) -> Kind:
        """Return "Sampling" or "Training"."""
        return kind_of(self.operation)


QueueObserver = Callable[[QueueStateChange], object]


def kind_of(operation: str) -> Kind:
    """Return whether an operation samples or trains."""
    return "Sampling" if operation in {"sample", "compute_logprobs"} else "Training"


def reason_of(state: str, reason: str | None, kind: Kind) -> str | None:
    """Return why the server pauses a request: its own text, or the usual reason for the state."""
    if not state.startswith("paused"):
        return reason or None
    return reason or _REASONS.get((state, kind), "unknown")


class QueueWatch:
    """Log of pauses, at most one line per minute for each model or sampler, and a list of observers.

    Observers run on the thread that saw the change; their exceptions are logged and go no
    further.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._observers: list[QueueObserver] = []
        self._spoken: dict[str, float] = {}
        self._lock = threading.Lock()

    def add(self, observer: QueueObserver) -> None:
        """Add an observer of later changes."""
        with self._lock:
            self._observers = [*self._observers, observer]

    def remove(self, observer: QueueObserver) -> None:
        """Remove an observer; one that was never added is ignored."""
        with self._lock:
            self._observers = [known for known in self._observers if known != observer]

    def note(self, change: QueueStateChange) -> None:
        """Log a change if it is a pause, and notify observers and subscribers."""
        self._log(change)
        emit(change)
        for observer in self._observers:
            notify(observer, change)

    def _log(self, change: QueueStateChange) -> None:
        if not change.is_paused:
            return
        subject = change.subject or change.session_id or "unknown"
        with self._lock:
            now = self._clock.now()
            spoken = self._spoken.get(subject)
            is_due = spoken is None or now - spoken >= SILENCE
            if is_due:
                self._spoken[subject] = now
        log.log(
            logging.WARNING if is_due else logging.DEBUG,
            "%s is paused for %s. Reason: %s",
            change.kind,
            subject,
            change.reason,
        )


class Reports:
    """One observer's changes, reported in order and one at a time, from any thread.

    A thread that finds another one reporting leaves its change to that one, so that no thread waits for
    an observer of another.
    """

    def __init__(self, observer: QueueObserver) -> None:
        self._observer = observer
        self._waiting: deque[QueueStateChange] = deque()
        self._reporting = threading.Lock()

    def add(self, change: QueueStateChange) -> None:
        """Put a change behind those that wait."""
        self._waiting.append(change)

    def report(self) -> None:
        """Report the changes that wait, unless another thread does so."""
        # Asked again after the release: a change may have come that its thread left to this one.
        while self._waiting and self._reporting.acquire(blocking=False):
            try:
                while self._waiting:
                    notify(self._observer, self._waiting.popleft())
            finally:
                self._reporting.release()


def notify(observer: QueueObserver, change: QueueStateChange) -> None:
    """Call an observer; its exceptions are logged."""
    try:
        observer(change)
    except Exception:
        log.exception("a queue state observer failed")
