"""What a request shows when nobody looks: nothing, at no cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

from tinkex.events.bus import emit
from tinkex.transport.retry import Retries


class Unobserved:
    """Stand in for `tinkex.transport.observed.Observed` while nobody listens and nothing is traced."""

    __slots__ = ("headers", "sent_bytes")

    def __init__(self, headers: Mapping[str, str] | None) -> None:
        self.headers = headers
        self.sent_bytes = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def answered(self, status_code: int, received_bytes: int = 0, retries: int = 0) -> None:
        """Tell nobody."""

    def failed(self, error: BaseException) -> None:
        """Tell nobody."""

    def attempt_begins(self, retries: Retries) -> None:
        """Tell nobody."""

    def attempt_succeeded(self, retries: Retries) -> None:
        """Tell nobody."""

    def attempt_failed(self, retries: Retries, error: BaseException, wait: float | None) -> None:
        """Tell nobody."""


def tell_failure(
    operation: str,
    session_id: str | None,
    retries: Retries,
    error: BaseException,
    wait: float | None,
) -> None:
    """Tell that an attempt failed; `wait` is the pause before the next, None if it was the last."""
    from tinkex.events.kinds import RetryAttemptFailed, RetryAttemptRetry

    facts: dict[str, Any] = {
        "operation": operation,
        "session_id": session_id,
        "duration": retries.elapsed,
        "error_type": type(error).__name__,
        "status_code": getattr(error, "status_code", None),
    }
    if wait is None:
        emit(RetryAttemptFailed(attempt=retries.attempt - 1, **facts))
    else:
        # With the wait the next attempt was counted already.
        emit(RetryAttemptRetry(attempt=retries.attempt - 2, delay=wait, **facts))
