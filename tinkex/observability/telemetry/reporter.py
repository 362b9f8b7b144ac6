"""Delivery of a session's events to its server in the background."""

from __future__ import annotations

import logging
import platform
import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid4

from tinkex_generated.api.telemetry import send_telemetry
from tinkex_generated.models import TelemetrySendRequest

from tinkex._base.redaction import safe_text
from tinkex._core.events.bus import Event as BusEvent
from tinkex._core.events.bus import subscribe
from tinkex._core.events.types import FutureTrouble, HttpRequestException, HttpRequestStop
from tinkex._core.failures import api_error
from tinkex._core.queue_state import QueueStateChange
from tinkex._core.response import Response
from tinkex._core.retry import RetryPolicy
from tinkex._core.transport import Transport
from tinkex.errors import TinkexError
from tinkex.observability.telemetry import events
from tinkex.observability.telemetry.events import Event, Severity

log_ = logging.getLogger("tinkex.telemetry")

PROCESS_UUID = str(uuid4())
SEND_TIMEOUT = 5.0
SEND_ATTEMPTS = 3
SEND_POLICY = RetryPolicy(max_attempts=SEND_ATTEMPTS, first_wait=1.0)
# Events that would cause further events without end, or carry no information when all is well.
_OWN = "send_telemetry"
# Statuses of a refused batch, parts of which may be accepted.
_REFUSES_CONTENT = frozenset({400, 413, 422})
_ROUTINE = frozenset({"retrieve_future", "session_heartbeat"})


class TelemetryReporter:
    """A queue of events, sent in batches by one daemon thread.

    >>> with ServiceClient(telemetry=True) as service:
    ...     service.telemetry.log("epoch_done", {"epoch": 3, "loss": 1.25})

    Nothing here raises, blocks on the network, or slows a training step: when the queue is full, events
    are dropped, and a batch that cannot be sent is dropped after three attempts. A batch that the server
    refuses is split in halves, so that only the refused events are dropped.

    It reports the session's start and end, finished requests (except successful polls and heartbeats),
    queue state changes, and problems with futures.

    Args:
        transport: The connection to the server.
        session_id: The session of the events.
        queue_size: Most events in the queue; more are dropped.
        batch_size: Most events per request.
        flush_interval: Seconds between sends.
        flush_threshold: Number of queued events that triggers a send.
        attach_events: Whether to report requests, queue states and futures, or only what is passed to
            `log` and its siblings.
    """

    def __init__(
        self,
        transport: Transport,
        session_id: str,
        *,
        queue_size: int = 10_000,
        batch_size: int = 100,
        flush_interval: float = 10.0,
        flush_threshold: int = 100,
        attach_events: bool = True,
    ) -> None:
        self._transport = transport
        self._session_id = session_id
        self._queue_size = queue_size
        self._batch_size = batch_size
        self._interval = flush_interval
        self._threshold = flush_threshold
        self._queue: deque[Event] = deque()
        self._index = 0
        self._accepted = 0
        self._settled = 0
        self._undelivered = 0
        self._undelivered_before = 0
        self._wanted = 0
        self._ended = False
        self._stopping = False
        self._hurry = threading.Event()
        self._is_dropping = False
        self._warned: set[object] = set()
        self._changed = threading.Condition()
        self._began = transport.clock.now()
        self._put(events.session_start)
        self._thread = threading.Thread(target=self._run, name="tinkex-telemetry", daemon=True)
        self._thread.start()
        observed: tuple[type[BusEvent], ...] = (
            HttpRequestStop,
            HttpRequestException,
            QueueStateChange,
            FutureTrouble,
        )
        self._subscription = subscribe(self._on_event, *observed) if attach_events else None

    def log(
        self, name: str, data: Mapping[str, Any] | None = None, severity: Severity = "INFO"
    ) -> bool:
        """Queue a custom event; return whether it was queued.

        Args:
            name: One of few names, such as "epoch_done".
            data: Numbers, booleans, None and short strings; other values are replaced by their type.
            severity: "DEBUG", "INFO", "WARNING", "ERROR" or "CRITICAL", in any case, or a level of
                `logging`. Events of other severities are not queued, since the server would refuse them.
        """
        return self._put_as(severity, lambda index, level: events.generic(index, name, data, level))

    def log_exception(self, error: BaseException, severity: Severity = "ERROR") -> bool:
        """Queue an error: its class, status and location, never its message."""
        return self._put_as(severity, lambda index, level: events.exception(index, error, level))

    def log_fatal_exception(self, error: BaseException, timeout: float = 5.0) -> bool:
        """Queue an error that ends the session, and try to send all events before returning."""
        queued = self._put(lambda index: events.exception(index, error, "CRITICAL"))
        self._end()
        return self.flush(timeout) and queued

    def flush(self, timeout: float = 30.0) -> bool:
        """Send the queued events; return whether the server accepted all of them in time.

        Also False if events that were queued since the last flush were refused or dropped.
        """
        with self._changed:
            self._wanted = self._accepted
            self._changed.notify_all()
        drained = self.wait_until_drained(timeout)
        with self._changed:
            before, self._undelivered_before = self._undelivered_before, self._undelivered
            return drained and self._undelivered == before

    @property
    def undelivered(self) -> int:
        """Return the number of queued events that were refused or dropped."""
        return self._undelivered

    def wait_until_drained(self, timeout: float = 30.0) -> bool:
        """Wait until the events that are queued now are sent or dropped; return whether they are."""
        with self._changed:
            goal = self._accepted
            return (
                self._changed.wait_for(
                    lambda: self._settled >= goal or not self._thread.is_alive(), timeout
                )
                and self._settled >= goal
            )

    def stop(self, timeout: float = 5.0) -> bool:
        """Send the session's end and all queued events, and end the thread; idempotent."""
        if self._subscription is not None:
            self._subscription.close()
        self._end()
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        self._hurry.set()
        if threading.current_thread() is not self._thread:
            self._thread.join(timeout)
        return not self._thread.is_alive()

    def _end(self) -> None:
        with self._changed:
            if self._ended:
                return
            self._ended = True
        seconds = self._transport.clock.now() - self._began
        self._put(lambda index: events.session_end(index, seconds))

    def _put_as(self, severity: object, make: Callable[[int, Severity], Event]) -> bool:
        known = events.severity_of(severity)
        if known is None:
            self._warn_once(
                "severity",
                f"telemetry drops an event of severity {severity!r}: it must be one of "
                f"{', '.join(events.SEVERITIES)}",
            )
            return False
        try:
            return self._put(lambda index: make(index, known))
        except Exception as error:  # noqa: BLE001 - telemetry must not fail a training step
            self._warn_once("event", f"telemetry drops an event: {type(error).__name__}")
            return False

    def _warn_once(self, topic: object, text: str) -> None:
        level = logging.DEBUG if topic in self._warned else logging.WARNING
        self._warned.add(topic)
        log_.log(level, "%s", safe_text(text))

    def _put(self, make: Callable[[int], Event]) -> bool:
        with self._changed:
            if len(self._queue) >= self._queue_size or self._stopping:
                # One line each time that the queue fills up, not for each event.
                level = logging.DEBUG if self._is_dropping else logging.WARNING
                self._is_dropping = True
                log_.log(level, "telemetry is dropping events: %d are waiting", len(self._queue))
                return False
            self._is_dropping = False
            self._queue.append(make(self._index))
            self._index += 1
            self._accepted += 1
            if len(self._queue) >= self._threshold:
                self._wanted = self._accepted
                self._changed.notify_all()
        return True

    def _on_event(self, event: BusEvent) -> None:
        seen: Any = event
        if seen.session_id != self._session_id or seen.operation == _OWN:
            return
        if seen.operation in _ROUTINE and getattr(seen, "result", None) == "ok":
            return
        is_bad = isinstance(event, HttpRequestException | FutureTrouble)
        severity: Severity = "ERROR" if is_bad else "INFO"
        self._put(lambda index: events.from_bus(index, event, severity))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(
                    lambda: self._stopping or self._settled < self._wanted, self._interval
                )
                stopping = self._stopping
            self._send_all()
            if stopping:
                return

    def _send_all(self) -> None:
        while True:
            with self._changed:
                count = min(len(self._queue), self._batch_size)
                batch = [self._queue.popleft() for _ in range(count)]
            if not batch:
                return
            undelivered = len(batch)
            try:
                undelivered = self._send(batch)
            finally:
                with self._changed:
                    self._undelivered += undelivered
                    self._settled += len(batch)
                    self._changed.notify_all()

    def _send(self, batch: list[Event]) -> int:
        """Send a batch and return how many of its events were not delivered."""
        try:
            reply = self._reply_to(batch)
        except TinkexError as error:
            log_.debug("telemetry stops: %s", error)
            return len(batch)
        except (TypeError, ValueError) as error:
            # An event cannot be serialized.
            refusal = type(error).__name__
        else:
            if reply is None:
                return len(batch)
            if reply.is_success:
                return 0
            refusal = api_error(reply, "send_telemetry").message
            if reply.status_code not in _REFUSES_CONTENT:
                self._warn_once(reply.status_code, f"telemetry is not accepted: {refusal}")
                return len(batch)
        if len(batch) > 1:
            middle = len(batch) // 2
            return self._send(batch[:middle]) + self._send(batch[middle:])
        self._warn_once("refused", f"a telemetry event is refused: {refusal}")
        return 1

    def _reply_to(self, batch: list[Event]) -> Response | None:
        """Send a batch, with retries; None if it was dropped."""
        request = send_telemetry.build_request(
            body=TelemetrySendRequest(
                events=batch,
                platform=platform.system() or "Unknown",
                sdk_version=self._transport.config.sdk_version,
                session_id=self._session_id,
                process_uuid=PROCESS_UUID,
            )
        )
        retries = self._transport.retries("send_telemetry", SEND_POLICY)
        while True:
            outcome = self._transport.send_once(request, timeout=SEND_TIMEOUT)
            if isinstance(outcome, Response):
                error: TinkexError = api_error(outcome, "send_telemetry")
                if outcome.is_success or not error.retryable:
                    return outcome
            else:
                error = outcome
            try:
                wait = retries.wait_after(error, repeatable=error.retryable, level=logging.DEBUG)
            except TinkexError:
                break
            self._transport.clock.wait(self._hurry, wait)
        log_.warning(
            "%d telemetry events could not be sent in %d attempts: %s",
            len(batch),
            retries.attempt,
            error,
        )
        return None
