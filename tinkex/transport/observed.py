"""One request, as those see it who listen to events or trace."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from tinkex_generated.types import Request

from tinkex.errors import ApiError
from tinkex.events.bus import emit
from tinkex.events.kinds import (
    HttpRequestException,
    HttpRequestStart,
    HttpRequestStop,
    RetryAttemptStart,
    RetryAttemptStop,
)
from tinkex.scope import current_scope
from tinkex.transport.retry import Retries
from tinkex.transport.unobserved import tell_failure

if TYPE_CHECKING:
    from tinkex.transport.http import Transport


class Observed:
    """Tell of a request when it begins and when it ends, and let a span run beside it.

    Attributes:
        headers: The headers to send: those of the call, and the trace's.
        sent_bytes: Bytes of the body, for whoever sends to fill in.
    """

    def __init__(
        self, transport: Transport, request: Request, headers: Mapping[str, str] | None
    ) -> None:
        scope = current_scope()
        self.sent_bytes = 0
        self._transport = transport
        # Which form an answer may have is no other operation to whoever counts them.
        self._operation = request.operation.removesuffix("_binary")
        self._facts: dict[str, Any] = {
            "operation": self._operation,
            "method": request.method,
            "path": request.path,
            "base_url": transport.config.base_url,
            "pool": transport.config.http_pool,
            "caller": scope.operation if scope else None,
            "model": scope.model if scope else None,
            "session_id": transport.session_id,
        }
        self._began = transport.clock.now()
        self._is_told = False
        self._span = None
        self.headers = headers
        if transport.tracer is not None:
            taken = {**request.headers, **transport.config.default_headers, **(headers or {})}
            self._span = transport.tracer.request(request.method, self._operation, scope)
            self.headers = {**(headers or {}), **self._span.headers(taken)}

    def __enter__(self) -> Self:
        emit(HttpRequestStart(**self._facts))
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if error is not None and not self._is_told:
            self.failed(error)

    def answered(self, status_code: int, received_bytes: int = 0, retries: int = 0) -> None:
        """Tell of an answer, whatever its status."""
        self._is_told = True
        is_pending = status_code == 408 and self._operation == "retrieve_future"
        is_ok = 200 <= status_code < 300 or is_pending
        emit(
            HttpRequestStop(
                **self._facts,
                status_code=status_code,
                result="ok" if is_ok else "error",
                duration=self._elapsed,
                retries=retries,
                sent_bytes=self.sent_bytes,
                received_bytes=received_bytes,
            )
        )
        if self._span is not None:
            self._span.end(status_code, retries, is_ok=is_ok)

    def failed(self, error: BaseException) -> None:
        """Tell of a request that ended with an error; one with a status is an answer."""
        retries = max(0, len(getattr(error, "attempts", ())) - 1)
        if isinstance(error, ApiError) and error.status_code is not None:
            self.answered(error.status_code, len(error.body), retries)
            return
        self._is_told = True
        emit(
            HttpRequestException(
                **self._facts,
                error_type=type(error).__name__,
                duration=self._elapsed,
                retries=retries,
                sent_bytes=self.sent_bytes,
            )
        )
        if self._span is not None:
            self._span.end(None, retries, error)

    def attempt_begins(self, retries: Retries) -> None:
        """Tell that an attempt begins."""
        emit(RetryAttemptStart(**self._attempt(retries.attempt)))

    def attempt_succeeded(self, retries: Retries) -> None:
        """Tell that an attempt was answered well."""
        emit(RetryAttemptStop(**self._attempt(retries.attempt), duration=retries.elapsed))

    def attempt_failed(self, retries: Retries, error: BaseException, wait: float | None) -> None:
        """Tell that an attempt failed, and when the next one comes, if one does."""
        tell_failure(self._operation, self._transport.session_id, retries, error, wait)

    def _attempt(self, number: int) -> dict[str, Any]:
        session_id = self._transport.session_id
        return {"operation": self._operation, "attempt": number - 1, "session_id": session_id}

    @property
    def _elapsed(self) -> float:
        return self._transport.clock.now() - self._began
