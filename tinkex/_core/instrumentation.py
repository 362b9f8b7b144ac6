"""Events and spans of requests and futures; a no-op without subscribers or tracing."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol, Self

from tinkex_generated.types import Request

from tinkex._base.clock import Clock
from tinkex._core.events.bus import emit, has_subscribers, has_subscribers_for
from tinkex._core.operation_context import OperationContext, current_context
from tinkex.errors import (
    ApiError,
    DecodeError,
    FutureLostError,
    FutureTimeoutError,
    RequestFailedError,
    TransportError,
    ValidationError,
)

if TYPE_CHECKING:
    from tinkex._core.events.types import Outcome
    from tinkex._core.tracing import RequestSpan, Tracer
    from tinkex.config import Config


class Sender(Protocol):
    """What sends the requests of one session."""

    config: Config
    clock: Clock
    session_id: str | None
    tracer: Tracer | None


class Pending(Protocol):
    """A call whose result is pending."""

    operation: str
    subject: str | None
    session_id: str | None
    submitted_at: float

    @property
    def request_id(self) -> str | None:
        """Return the server's request id, once there is one."""
        ...


class RequestObserver:
    """Emits a request's events and ends its span, as a context manager around the request.

    Args:
        clock: Measures durations.
        facts: The fields that all events of the request have; None emits nothing.
        headers: The headers to send, including the trace context.
        span: The request's span, if calls are traced.

    Attributes:
        headers: As above.
        sent_bytes: Bytes of the body, set by the sender.
    """

    __slots__ = ("_began", "_clock", "_facts", "_is_over", "_span", "headers", "sent_bytes")

    def __init__(
        self,
        clock: Clock,
        facts: Mapping[str, Any] | None,
        headers: Mapping[str, str] | None = None,
        span: RequestSpan | None = None,
    ) -> None:
        self.headers = headers
        self.sent_bytes = 0
        self._clock = clock
        self._facts = facts
        self._span = span
        self._began = clock.now()
        self._is_over = facts is None

    def __enter__(self) -> Self:
        if self._facts is not None:
            from tinkex._core.events.types import HttpRequestStart

            if has_subscribers_for(HttpRequestStart):
                emit(HttpRequestStart(**self._facts))
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None or self._facts is None or self._is_over:
            return
        retries = max(0, len(getattr(error, "attempts", ())) - 1)
        status = getattr(error, "status_code", None)
        if status is not None and not isinstance(error, TransportError):
            # An error status is a response, too.
            self.responded(status, len(getattr(error, "body", b"")), retries)
            return
        from tinkex._core.events.types import HttpRequestException

        emit(
            HttpRequestException(
                **self._facts,
                error_type=type(error).__name__,
                duration=self._clock.now() - self._began,
                retries=retries,
                sent_bytes=self.sent_bytes,
            )
        )
        if self._span is not None:
            self._span.end(None, retries, error)

    def responded(self, status_code: int, received_bytes: int = 0, retries: int = 0) -> None:
        """Emit that a response was received, whatever its status."""
        if self._facts is None:
            return
        from tinkex._core.events.types import HttpRequestStop

        self._is_over = True
        is_pending = status_code == 408 and self._facts["operation"] == "retrieve_future"
        is_ok = 200 <= status_code < 300 or is_pending
        if has_subscribers_for(HttpRequestStop):
            emit(
                HttpRequestStop(
                    **self._facts,
                    status_code=status_code,
                    result="ok" if is_ok else "error",
                    duration=self._clock.now() - self._began,
                    retries=retries,
                    sent_bytes=self.sent_bytes,
                    received_bytes=received_bytes,
                )
            )
        if self._span is not None:
            self._span.end(status_code, retries, is_ok=is_ok)


def observed(
    transport: Sender, request: Request, headers: Mapping[str, str] | None = None
) -> RequestObserver:
    """Return the observer of a request to the API, sent with these headers."""
    if transport.tracer is None and not has_subscribers():
        return RequestObserver(transport.clock, None, headers)
    context = current_context()
    facts: dict[str, Any] = {
        # Subscribers count operations; the format of the response is not part of the name.
        "operation": request.operation.removesuffix("_binary"),
        "method": request.method,
        "path": request.path,
        "base_url": transport.config.base_url,
        "pool": transport.config.http_pool,
        "caller": context.operation if context else None,
        "model": context.model if context else None,
        "session_id": transport.session_id,
    }
    if transport.tracer is None:
        return RequestObserver(transport.clock, facts, headers)
    span = transport.tracer.request(request.method, facts["operation"], context)
    taken = {**request.headers, **transport.config.default_headers, **(headers or {})}
    sent = {**(headers or {}), **span.headers(taken)}
    return RequestObserver(transport.clock, facts, sent, span)


class FutureObserver:
    """Emits a future's events: when it is created, when a problem occurs, when it is done.

    The end is emitted before waiting callers get the result, so that counters are up to date by then.
    """

    __slots__ = ("_context", "_future", "_is_over", "_is_silent", "_lock")

    def __init__(self, future: Pending, context: OperationContext | None) -> None:
        self._context = context
        self._is_silent = context is None and not has_subscribers()
        if self._is_silent:
            return
        from tinkex._core.events.types import FutureStart

        self._future = future
        self._is_over = False
        self._lock = threading.Lock()
        if has_subscribers_for(FutureStart):
            emit(FutureStart(**self._facts()))

    def ended(self, outcome: Outcome, error: BaseException | None = None) -> None:
        """Emit how the future ended; only the first call has an effect."""
        if self._is_silent:
            return
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
        from tinkex._core.events.types import FutureStop

        if error is not None:
            self._emit_trouble(error)
        if has_subscribers_for(FutureStop):
            error_type = None if error is None else type(error).__name__
            emit(
                FutureStop(
                    **self._facts(), outcome=outcome, duration=self._elapsed, error_type=error_type
                )
            )
        if self._context is not None:
            self._context.end(error, self._future.request_id)

    def trouble(self, error: BaseException) -> None:
        """Emit a problem of a future that is still pending."""
        if not self._is_silent:
            self._emit_trouble(error)

    def _emit_trouble(self, error: BaseException) -> None:
        kind = _trouble_of(error)
        if kind is not None:
            emit(
                kind(
                    **self._facts(),
                    error_type=type(error).__name__,
                    status_code=getattr(error, "status_code", None),
                    category=getattr(error, "category", None),
                    duration=self._elapsed,
                )
            )

    @property
    def _elapsed(self) -> float:
        return time.monotonic() - self._future.submitted_at

    def _facts(self) -> dict[str, Any]:
        return {
            "operation": self._future.operation,
            "subject": self._future.subject,
            "model": self._context.model if self._context else None,
            "request_id": self._future.request_id,
            "session_id": self._future.session_id,
        }


def _trouble_of(error: BaseException) -> Any:
    """Return the event class of an error; an unreadable response is not a connection error."""
    from tinkex._core.events import types as kinds

    if isinstance(error, FutureTimeoutError):
        return kinds.FutureTimeout
    if isinstance(error, DecodeError | ValidationError):
        return kinds.FutureValidationError
    if isinstance(error, TransportError):
        return kinds.FutureConnectionError
    if isinstance(error, RequestFailedError):
        return kinds.FutureRequestFailed
    if isinstance(error, ApiError | FutureLostError):
        return kinds.FutureApiError
    return None
