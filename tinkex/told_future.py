"""One future, as those see it who listen to events or trace."""

from __future__ import annotations

import contextlib
import threading
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from tinkex.clock import Clock
from tinkex.errors import (
    ApiError,
    DecodeError,
    FutureLostError,
    FutureTimeoutError,
    RequestFailedError,
    TransportError,
    ValidationError,
)
from tinkex.events.bus import emit
from tinkex.events.kinds import (
    FutureApiError,
    FutureConnectionError,
    FutureRequestFailed,
    FutureStart,
    FutureStop,
    FutureTimeout,
    FutureTrouble,
    FutureValidationError,
    Outcome,
)
from tinkex.scope import Scope

if TYPE_CHECKING:
    from tinkex.futures import Future

# The first that fits: what cannot be read is no trouble with the connection.
_TROUBLES: tuple[tuple[type[Exception] | tuple[type[Exception], ...], type[FutureTrouble]], ...] = (
    (FutureTimeoutError, FutureTimeout),
    ((DecodeError, ValidationError), FutureValidationError),
    (TransportError, FutureConnectionError),
    (RequestFailedError, FutureRequestFailed),
    ((ApiError, FutureLostError), FutureApiError),
)


class ToldFuture:
    """Tell of a future when it is made, when something goes wrong, and when it is done.

    Its end is told before whoever waits gets the result, so that what counts is up to date then.
    """

    def __init__(
        self, future: Future[Any], scope: Scope | None, subject: str | None, clock: Clock
    ) -> None:
        self._future = future
        self._scope = scope
        self._subject = subject
        self._clock = clock
        self._is_over = False
        self._lock = threading.Lock()
        emit(FutureStart(**self._facts()))

    def at_work(self) -> AbstractContextManager[None]:
        """Return the block in which the future does an exchange."""
        return contextlib.nullcontext() if self._scope is None else self._scope.again()

    def ended(self, outcome: Outcome, error: BaseException | None = None) -> None:
        """Tell how the future ended; only the first time counts."""
        with self._lock:
            if self._is_over:
                return
            self._is_over = True
        if error is not None:
            self.trouble(error)
        emit(
            FutureStop(
                **self._facts(),
                outcome=outcome,
                duration=self._elapsed,
                error_type=None if error is None else type(error).__name__,
            )
        )
        if self._scope is not None:
            self._scope.end(error, self._future.request_id)

    def trouble(self, error: BaseException) -> None:
        """Tell what went wrong, if it is one of the ways that have a name."""
        for errors, kind in _TROUBLES:
            if isinstance(error, errors):
                emit(
                    kind(
                        **self._facts(),
                        error_type=type(error).__name__,
                        status_code=getattr(error, "status_code", None),
                        category=getattr(error, "category", None),
                        duration=self._elapsed,
                    )
                )
                return

    def _facts(self) -> dict[str, Any]:
        return {
            "operation": self._future.operation,
            "subject": self._subject,
            "model": self._scope.model if self._scope else None,
            "request_id": self._future.request_id,
            "session_id": self._future.session_id,
        }

    @property
    def _elapsed(self) -> float:
        return self._clock.now() - self._future.submitted_at
