"""Circuit breakers for the operations of a server, where the settings ask for them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tinkex.clock import Clock
from tinkex.config import Config
from tinkex.errors import CircuitOpenError, ServerError, TransportError
from tinkex.transport.answer import Broken, Reply
from tinkex.transport.classes import RequestClass, request_class

if TYPE_CHECKING:
    from tinkex.circuit_breaker import CircuitBreakers

Note = Callable[[Reply | Broken], None]


class _NotedError(Exception):
    """Stands for a failure that was returned and not raised."""


def breakers_of(config: Config, clock: Clock) -> CircuitBreakers | None:
    """Return the breakers of a server's operations, or None where nobody asked for them."""
    if config.breaker_failures is None:
        return None
    from tinkex.circuit_breaker import CircuitBreakers

    return CircuitBreakers(
        failure_threshold=config.breaker_failures,
        reset_timeout=config.breaker_reset,
        clock=clock,
    )


@contextmanager
def guarded(breakers: CircuitBreakers | None, operation: str) -> Iterator[Note]:
    """Run one call of an operation under its breaker; yields what notes an outcome without raising.

    Failures are calls without a usable answer and those that the server failed at (5xx). What it
    refuses shows that it works. Heartbeats and telemetry go through in any case.

    Raises:
        CircuitOpenError: The calls before it failed; this one was not begun.
    """
    if breakers is None or request_class(operation) is RequestClass.BACKGROUND:
        yield _ignore
        return
    try:
        with breakers.get(operation).guard(_is_failure):
            noted: list[Reply | Broken] = []
            yield noted.append
            if noted and _has_failed(noted[-1]):
                raise _NotedError
    except _NotedError:
        return


def _ignore(outcome: Reply | Broken) -> None:
    """Take note of nothing."""


def _is_failure(error: BaseException) -> bool:
    return isinstance(error, TransportError | ServerError | _NotedError) and not isinstance(
        error, CircuitOpenError
    )


def _has_failed(outcome: Reply | Broken) -> bool:
    if isinstance(outcome, Broken):
        return True
    return outcome.status_code >= 500 and outcome.status_code != 501
