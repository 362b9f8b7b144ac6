"""Tell whoever wants to know when the server lets requests wait, and why."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import ClassVar, Literal

from attrs import frozen

from tinkex._base.clock import Clock
from tinkex._core.events.bus import Event, emit

log = logging.getLogger("tinkex.queue")

# A pause is worth a line for each model or sampler now and then, not at each poll.
SILENCE = 60.0

Kind = Literal["Training", "Sampling"]

# What the server means where it gives no reason.
_REASONS = {
    ("paused_rate_limit", "Sampling"): "concurrent sampler weights limit hit",
    ("paused_rate_limit", "Training"): "concurrent training clients rate limit hit",
    ("paused_capacity", "Sampling"): "Tinker backend is running short on capacity, please wait",
    ("paused_capacity", "Training"): "Tinker backend is running short on capacity, please wait",
}


@frozen(kw_only=True)
class QueueStateChange(Event):
    """Say that the server's queue treats a request differently than before.

    Attributes:
        state: "active", "paused_capacity", "paused_rate_limit", or what else the server says.
        reason: The server's reason, else the usual one of that state; None while active.
        operation: What was asked for, such as "forward_backward".
        request_id: The request that was told so, if it has an id yet.
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
        """Tell whether the request waits for something other than its turn."""
        return self.state.startswith("paused")

    @property
    def kind(self) -> Kind:
        """Return "Sampling" or "Training"."""
        return kind_of(self.operation)


QueueObserver = Callable[[QueueStateChange], object]


def kind_of(operation: str) -> Kind:
    """Return whether an operation samples or trains."""
    return "Sampling" if operation in {"sample", "compute_logprobs"} else "Training"


def reason_of(state: str, said: str | None, kind: Kind) -> str | None:
    """Return why the server lets a request wait: its own words, or the usual reason of a state."""
    if not state.startswith("paused"):
        return said or None
    return said or _REASONS.get((state, kind), "unknown")


class QueueWatch:
    """Log pauses, at most once a minute for each model or sampler, and call the observers.

    An observer runs on the thread that heard of the change; what it raises is logged and goes no
    further.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._observers: list[QueueObserver] = []
        self._spoken: dict[str, float] = {}
        self._lock = threading.Lock()

    def add(self, observer: QueueObserver) -> None:
        """Call a function at each change from now on."""
        with self._lock:
            self._observers = [*self._observers, observer]

    def remove(self, observer: QueueObserver) -> None:
        """Call a function no more; one that was never added is no error."""
        with self._lock:
            self._observers = [known for known in self._observers if known != observer]

    def note(self, change: QueueStateChange) -> None:
        """Log a change if it is a pause, and tell the observers and the event bus."""
        self._log(change)
        emit(change)
        for observer in self._observers:
            tell(observer, change)

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


def tell(observer: QueueObserver, change: QueueStateChange) -> None:
    """Call an observer; what it raises is logged."""
    try:
        observer(change)
    except Exception:
        log.exception("a queue state observer failed")
