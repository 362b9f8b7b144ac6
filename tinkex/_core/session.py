"""The session that a client's models and samplers belong to, and the heartbeat that keeps it."""

from __future__ import annotations

import atexit
import itertools
import logging
import threading
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import TYPE_CHECKING, Any

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

    from tinkex.observability.telemetry import TelemetryReporter
else:
    asyncio = LazyModule("asyncio")

log = logging.getLogger("tinkex.session")

HEARTBEAT_INTERVAL = 10.0
HEARTBEAT_TIMEOUT = 10.0
FINISH_TIMEOUT = 2.0
# By then another beat is missing; servers end sessions after some minutes without one.
LATE = 20.0
# One miss is a hiccup, two in a row are a state worth telling.
MISSES_BEFORE_WARNING = 2
# A single 404 may come from a proxy that lost its way.
NOT_FOUND_BEFORE_LOST = 2

_NO_SCOPE: AbstractContextManager[Any] = nullcontext()

FinishReason = shutdown.ExitReason


@frozen
class HeartbeatState:
    """Say how the session's heartbeat is doing.

    Attributes:
        last_success: Monotonic seconds of the last beat that the server took.
        misses: Beats in a row that failed.
        unknown: How many of the latest ones in a row were answered with 404.
        lost: Why the server no longer has the session; None while it has.
        late: Seconds by which the latest beat came later than it should, because this process was
            suspended or did not let its threads run.
    """

    last_success: float
    misses: int = 0
    unknown: int = 0
    lost: str | None = None
    late: float = 0.0

    @property
    def is_alive(self) -> bool:
        """Tell whether, as far as is known, the server still has the session."""
        return self.lost is None


class Session:
    """Own one session of the server: its id, its counters and its heartbeat.

    Args:
        transport: The way to the server.
        heartbeat_interval: Seconds between beats.
        observers: Functions that are called when the server's queue changes its mind.
        report: Starts the telemetry of a session id, if `Config.telemetry` asks for it.
        joined: The id of a session that another process began: that process keeps it alive and ends it.

    Attributes:
        id: The server's name of the session.
        server_config: What the server would like its clients to keep to.
        limits: The sizes that this session keeps to, and where each came from.
        heartbeat: How the heartbeat is doing.
        telemetry: What tells the server about the session, if `Config.telemetry` asks for it.
    """

    def __init__(
        self,
        transport: Transport,
        heartbeat_interval: float = HEARTBEAT_INTERVAL,
        observers: Sequence[QueueObserver] = (),
        report: Callable[[Transport, str], TelemetryReporter] | None = None,
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
        self.telemetry: TelemetryReporter | None = None
        self._is_joined = joined is not None
        self.id: str = joined or self._begin()
        transport.session_id = self.id
        if not self._is_joined:
            loop.spawn(self._beat_on())
            if report is not None:
                self.telemetry = report(transport, self.id)
        atexit.register(self._close_at_exit)
        shutdown.watch(self)

    def _begin(self) -> str:
        config = self.transport.config
        answer = self.transport.call(
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
            (logging.INFO, answer.info_message),
            (logging.WARNING, answer.warning_message),
            (logging.ERROR, answer.error_message),
        ):
            if message:
                log.log(level, "the server says: %s", safe_text(message))
        return answer.session_id

    def scope(self, operation: str, model: str | None = None) -> AbstractContextManager[Any]:
        """Return the block in which a call of the user's is submitted; see `tinkex._core.operation_context`."""
        tracer = self.transport.tracer
        if tracer is None and not has_subscribers():
            return _NO_SCOPE
        span = None
        if tracer is not None:
            span = tracer.operation(operation, model, self.id, current_context())
        return OperationContext(operation, model, span)

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
        """Tell whether the session was ended from this side."""
        return self._stop.is_set()

    def check(self) -> None:
        """Raise if the session has ended, from either side.

        Raises:
            ClientClosedError: It was closed here.
            SessionLostError: The server ended it; what was saved is safe, what was not is gone.
        """
        if self.is_closed:
            raise ClientClosedError("this session was closed; create a new ServiceClient")
        if self.heartbeat.lost is not None:
            raise SessionLostError(
                f"the server ended this session ({self.heartbeat.lost}). Create a new "
                "ServiceClient and go on from your last checkpoint",
                session_id=self.id,
            )

    def probe(self) -> bool:
        """Ask the server now whether it has the session; False only if it says that it has not."""
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
            late: Seconds by which it comes later than it should.
        """
        request = session_heartbeat.build_request(body=SessionHeartbeatRequest(session_id=self.id))
        status = None
        try:
            response = await self.transport.attempt(request, timeout=HEARTBEAT_TIMEOUT)
            status = response.status_code
            what = f"HTTP {status}"
        except (ApiError, ConfigurationError, TransportError) as error:
            # The key could not be renewed, perhaps; by the next beat it may be there.
            what = str(error)
        else:
            if response.is_success:
                if self.heartbeat.misses >= MISSES_BEFORE_WARNING:
                    log.info("session %s: the heartbeat is taken again", self.id)
                self.heartbeat = HeartbeatState(self.transport.clock.now(), late=late)
                return
        before = self.heartbeat
        unknown = before.unknown + 1 if status == 404 else 0
        gone = status == 410 or unknown >= NOT_FOUND_BEFORE_LOST
        self.heartbeat = HeartbeatState(
            before.last_success,
            before.misses + 1,
            unknown,
            lost=f"heartbeat answered with {what}" if gone else None,
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
                "session %s: %d heartbeats failed, none taken for %.0f s: %s",
                self.id,
                state.misses,
                self.transport.clock.now() - state.last_success,
                what,
            )

    def close(self, reason: FinishReason = "success", detail: str | None = None) -> None:
        """End the session at the server, as far as it can be told, and stop the heartbeat.

        In a process forked from the one that began the session it does nothing.

        Args:
            reason: "success", "errored" or "interrupted".
            detail: A sentence for whoever looks at the session later.
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
        # Last events and farewell share one deadline.
        until = self.transport.clock.now() + FINISH_TIMEOUT
        try:
            if self.telemetry is not None:
                self.telemetry.stop(FINISH_TIMEOUT / 2)
            if self.heartbeat.is_alive and not self._is_joined:
                self._finish(reason, detail, max(0.1, until - self.transport.clock.now()))
        finally:
            # Thousands of polls that end at once would keep the server from hearing the farewell.
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
            log.debug("session %s was not told that it ends: %s", self.id, error)
            return
        # A server without this route lets the session expire, which is as good.
        log.debug("session %s ended: %s", self.id, getattr(outcome, "status_code", outcome))

    async def _beat_on(self) -> None:
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
                log.debug("session %s: heartbeat ends: %s", self.id, error)
                return
            if not self.heartbeat.is_alive:
                return
