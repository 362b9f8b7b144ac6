"""The session that models and samplers belong to, and its heartbeat."""

from __future__ import annotations

import atexit
import itertools
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any, Literal, Protocol

from attrs import frozen
from tinkex_generated.api.sessions import create_session, finish_session, session_heartbeat
from tinkex_generated.models import (
    CreateSessionRequest,
    FinishSessionRequest,
    SessionFinishReason,
    SessionHeartbeatRequest,
)

from tinkex._base.lazy import LazyModule
from tinkex._base.redaction import safe_text
from tinkex._core import loop, shutdown
from tinkex._core.cancellation import Cancellations
from tinkex._core.events.bus import has_subscribers
from tinkex._core.futures import Unfinished
from tinkex._core.limits import Limits, SampleLimiter, sample_limiter
from tinkex._core.operation_context import OperationContext, current_context
from tinkex._core.queue_state import QueueObserver, QueueWatch
from tinkex._core.server_config import fetch_server_config, token
from tinkex._core.transport import Transport
from tinkex.errors import (
    ApiError,
    ClientClosedError,
    ConfigurationError,
    SessionLostError,
    TinkexError,
    TransportError,
)

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = LazyModule("asyncio")

log = logging.getLogger("tinkex.session")

HEARTBEAT_INTERVAL = 10.0
HEARTBEAT_TIMEOUT = 10.0
FINISH_TIMEOUT = 2.0
# The next beat is overdue by then; servers end sessions after some minutes without one.
LATE = 20.0
# One miss is noise; two in a row are logged.
MISSES_BEFORE_WARNING = 2
# A single 404 may come from a misconfigured proxy.
NOT_FOUND_BEFORE_LOST = 2

_NO_CONTEXT: AbstractContextManager[Any] = nullcontext()

FinishReason = shutdown.ExitReason


class Reporter(Protocol):
    """What reports a session's telemetry."""

    def log_exception(self, error: BaseException, severity: Literal["CRITICAL"]) -> bool:
        """Report an exception that ended the program's work."""
        ...

    def stop(self, timeout: float) -> bool:
        """Send what is left, for at most so many seconds."""
        ...


@frozen
class HeartbeatState:
    """The state of a session's heartbeat.

    Attributes:
        last_success: Monotonic seconds of the last accepted beat.
        misses: Consecutive failed beats.
        unknown: Consecutive beats with a 404 response.
        lost: Why the server no longer has the session; None while it does.
        late: Seconds by which the latest beat was late, because this process was suspended or did not run
            its threads.
    """

    last_success: float
    misses: int = 0
    unknown: int = 0
    lost: str | None = None
    late: float = 0.0

    @property
    def is_alive(self) -> bool:
        """Return whether the server still has the session, as far as known."""
        return self.lost is None


class Session:
    """A session on the server: its id, its counters and its heartbeat.

    Args:
        transport: The connection to the server.
        heartbeat_interval: Seconds between beats.
        observers: Functions that are called when the queue state changes.
        report: Starts telemetry for a session id, if `Config.telemetry` is set.
        joined: The id of a session that another process created, keeps alive and ends.

    Attributes:
        id: The server's id of the session.
        server_config: The server's configuration for its clients.
        limits: The session's limits, and the source of each.
        heartbeat: The state of the heartbeat.
        telemetry: The session's telemetry reporter, if `Config.telemetry` is set.
    """

    def __init__(
        self,
        transport: Transport,
        heartbeat_interval: float = HEARTBEAT_INTERVAL,
        observers: Sequence[QueueObserver] = (),
        report: Callable[[Transport, str], Reporter] | None = None,
        joined: str | None = None,
    ) -> None:
        config = transport.config
        self.transport = transport
        self.server_config = fetch_server_config(transport)
        if self.server_config.config.pjwt_auth_enabled:
            transport.use_tokens(lambda: token(transport))
        self.limits: Limits = self.server_config.limits(config)
        self.limiter: SampleLimiter = sample_limiter(config)
        transport.run(self.limiter.adopt(self.limits))
        self.unfinished = Unfinished()
        self.cancellations = Cancellations(transport)
        self.queue_watch = QueueWatch(transport.clock)
        for observer in observers:
            self.queue_watch.add(observer)
        self._model_numbers = itertools.count()
        self._sampler_numbers = itertools.count()
        self._custom_loss_numbers = itertools.count()
        self._interval = heartbeat_interval
        self._stop = threading.Event()
        self._closing = threading.Lock()
        self.heartbeat = HeartbeatState(transport.clock.now())
        self._heartbeat_task: asyncio.Task[Any] | None = None
        self.telemetry: Reporter | None = None
        self._is_joined = joined is not None
        self.id: str = joined or self._begin()
        transport.session_id = self.id
        if not self._is_joined:
            loop.spawn(self._heartbeat_loop())
            if report is not None:
                self.telemetry = report(transport, self.id)
        atexit.register(self._close_at_exit)
        shutdown.watch(self)

    def _begin(self) -> str:
        config = self.transport.config
        response = self.transport.call(
            create_session.build_request(
                body=CreateSessionRequest(
                    tags=list(config.tags),
                    user_metadata=dict(config.user_metadata),
                    sdk_version=config.sdk_version,
                    project_id=config.project_id,
                    display_name=config.display_name,
                )
            ),
            create_session.parse_response,
        )
        for level, message in (
            (logging.INFO, response.info_message),
            (logging.WARNING, response.warning_message),
            (logging.ERROR, response.error_message),
        ):
            if message:
                log.log(level, "the server says: %s", safe_text(message))
        if self.server_config.console_url is not None:
            log.info(
                "session %s: watch it at %s", response.session_id, self.server_config.console_url
            )
        return response.session_id

    def operation(self, name: str, model: str | None = None) -> AbstractContextManager[Any]:
        """Return the block in which a call is submitted; see `tinkex._core.operation_context`."""
        tracer = self.transport.tracer
        if tracer is None and not has_subscribers():
            return _NO_CONTEXT
        span = None
        if tracer is not None:
            span = tracer.operation(name, model, self.id, current_context())
        return OperationContext(name, model, span)

    def next_model_number(self) -> int:
        """Return the number of the session's next model, from 0."""
        return next(self._model_numbers)

    def next_sampler_number(self) -> int:
        """Return the number of the session's next sampling session, from 0."""
        return next(self._sampler_numbers)

    def next_custom_loss_number(self) -> int:
        """Return the number of the session's next uploaded loss, from 0."""
        return next(self._custom_loss_numbers)

    @property
    def is_closed(self) -> bool:
        """Return whether the session was closed by this process."""
        return self._stop.is_set()

    def check(self) -> None:
        """Raise if the session has ended.

        Raises:
            ClientClosedError: It was closed by this process.
            SessionLostError: The server ended it; saved checkpoints are safe, unsaved weights are lost.
        """
        if self.is_closed:
            raise ClientClosedError("this session was closed; create a new ServiceClient")
        if self.heartbeat.lost is not None:
            raise SessionLostError(
                f"the server ended this session ({self.heartbeat.lost}). Create a new "
                "ServiceClient and resume from your last checkpoint",
                session_id=self.id,
            )

    def probe(self) -> bool:
        """Ask the server whether it has the session; return False only if it says that it has not."""
        return self.transport.run(self._probe())

    async def _probe(self) -> bool:
        for _ in range(NOT_FOUND_BEFORE_LOST):
            if self.heartbeat.is_alive:
                await self.beat()
            if self.heartbeat.misses == 0:
                break
        return self.heartbeat.is_alive

    async def beat(self, late: float = 0.0) -> None:
        """Send one heartbeat and note its outcome.

        Args:
            late: Seconds by which the beat is late.
        """
        request = session_heartbeat.build_request(body=SessionHeartbeatRequest(session_id=self.id))
        status = None
        try:
            response = await self.transport.attempt(request, timeout=HEARTBEAT_TIMEOUT)
            status = response.status_code
            what = f"HTTP {status}"
        except (ApiError, ConfigurationError, TransportError) as error:
            # The key may have expired; it may be renewed by the next beat.
            what = str(error)
        else:
            if response.is_success:
                if self.heartbeat.misses >= MISSES_BEFORE_WARNING:
                    log.info("session %s: heartbeats succeed again", self.id)
                self.heartbeat = HeartbeatState(self.transport.clock.now(), late=late)
                return
        before = self.heartbeat
        unknown = before.unknown + 1 if status == 404 else 0
        gone = status == 410 or unknown >= NOT_FOUND_BEFORE_LOST
        self.heartbeat = HeartbeatState(
            before.last_success,
            before.misses + 1,
            unknown,
            lost=f"heartbeat failed with {what}" if gone else None,
            late=late,
        )
        self._log_miss(what)

    def _log_miss(self, what: str) -> None:
        state = self.heartbeat
        if state.lost is not None:
            log.error("session %s was ended by the server: %s", self.id, state.lost)
        elif state.misses >= MISSES_BEFORE_WARNING:
            log.log(
                logging.WARNING if state.misses == MISSES_BEFORE_WARNING else logging.DEBUG,
                "session %s: %d heartbeats failed, none succeeded for %.0f s: %s",
                self.id,
                state.misses,
                self.transport.clock.now() - state.last_success,
                what,
            )

    def close(self, reason: FinishReason = "success", detail: str | None = None) -> None:
        """End the session at the server, if it is reachable, and stop the heartbeat.

        In a process that was forked from the session's own, it does nothing.

        Args:
            reason: "success", "errored" or "interrupted".
            detail: An explanation that is stored with the session.
        """
        if self.transport.is_foreign:
            return
        with self._closing:
            if self._stop.is_set():
                return
            self._stop.set()
        atexit.unregister(self._close_at_exit)
        shutdown.unwatch(self)
        self.unfinished.fail(self._closed_error)
        loop.call_soon(self._stop_beating)
        # The last events and the end of the session share one deadline.
        until = self.transport.clock.now() + FINISH_TIMEOUT
        try:
            if self.telemetry is not None:
                self.telemetry.stop(FINISH_TIMEOUT / 2)
            if self.heartbeat.is_alive and not self._is_joined:
                self._finish(reason, detail, max(0.1, until - self.transport.clock.now()))
        finally:
            # Thousands of polls that end at once could keep this request from the server.
            self.unfinished.cancel()

    def _stop_beating(self) -> None:
        if self._heartbeat_task is not None:
            self._heartbeat_task.cancel()

    def _closed_error(self) -> ClientClosedError:
        error = ClientClosedError(
            "the client was closed before this result came; the server may have done the work"
        )
        error.session_id = self.id
        return error

    def _close_at_exit(self) -> None:
        self.close(shutdown.exit_reason())

    def _finish(self, reason: FinishReason, detail: str | None, timeout: float) -> None:
        request = finish_session.build_request(
            session_id=self.id,
            body=FinishSessionRequest(reason=SessionFinishReason(type_=reason), detail=detail),
        )
        try:
            outcome = self.transport.send_once(request, timeout=timeout)
        except TinkexError as error:
            log.debug("session %s could not be ended at the server: %s", self.id, error)
            return
        # A server without this route lets the session expire.
        log.debug("session %s ended: %s", self.id, getattr(outcome, "status_code", outcome))

    async def _heartbeat_loop(self) -> None:
        clock = self.transport.clock
        self._heartbeat_task = asyncio.current_task()
        while not self.is_closed:
            due = clock.now() + self._interval
            await clock.tick(self._interval)
            late = max(0.0, clock.now() - due)
            if late >= LATE:
                log.warning(
                    "session %s: a heartbeat is %.0f s late: the process was suspended, or busy "
                    "without letting its threads run; the server may have ended the session",
                    self.id,
                    late,
                )
            try:
                await self.beat(late)
            except TinkexError as error:
                log.debug("session %s: heartbeat stops: %s", self.id, error)
                return
            if not self.heartbeat.is_alive:
                return
