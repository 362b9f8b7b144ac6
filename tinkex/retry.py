"""Retries and circuit breakers for your own calls."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from tinkex._base.clock import SYSTEM_CLOCK, Clock
from tinkex._core.checks import checked_count
from tinkex._core.circuit_breaker import (
    BreakerChange,
    BreakerState,
    CircuitBreaker,
    CircuitBreakers,
)
from tinkex._core.retry import Retries, RetryBudget, RetryPolicy, full_jitter
from tinkex.errors import TinkexError

__all__ = ["BreakerChange", "BreakerState", "CircuitBreaker", "CircuitBreakers", "with_retry"]

T = TypeVar("T")


def with_retry(
    function: Callable[[], T],
    *,
    operation: str = "with_retry",
    max_retries: int = 10,
    first_wait: float = 0.5,
    longest_wait: float = 10.0,
    deadline: float = 300.0,
    jitter: Callable[[float], float] = full_jitter,
    clock: Clock = SYSTEM_CLOCK,
    retry_on: type[Exception] | tuple[type[Exception], ...] = (),
) -> T:
    """Call a function until it succeeds, and return its result.

    >>> response = with_retry(lambda: sampler.sample(prompt).result(), max_retries=3)

    tinkex's own calls retry by themselves; this function is for work that consists of several calls.
    A `TinkexError` is retried if it is `retryable`, after the wait that the server asks for. Of other
    exceptions, only those in `retry_on` are retried. Each attempt emits events
    (`tinkex.events.RetryAttempt`).

    Args:
        function: Called without arguments.
        operation: The name in events.
        max_retries: Attempts after the first one.
        first_wait: Upper limit of the first wait in seconds; doubled for each further wait.
        longest_wait: Upper limit of any wait in seconds.
        deadline: Seconds from the first attempt after which no attempt starts.
        jitter: Returns a random wait up to its argument.
        clock: The source of time.
        retry_on: Further exceptions to retry, such as ``(OSError, KeyError)``.

    Raises:
        TinkexError: The error of the last attempt, with the history in `attempts`.
    """
    policy = RetryPolicy(
        max_attempts=checked_count(max_retries, "max_retries", 0) + 1,
        deadline=deadline,
        first_wait=first_wait,
        longest_wait=longest_wait,
    )
    retries = Retries(policy, RetryBudget(), clock, jitter, operation=operation)
    while True:
        retries.began()
        try:
            result = function()
        except TinkexError as error:
            clock.sleep(retries.wait_after(error, repeatable=error.retryable))
        except retry_on:
            wait = retries.next_wait()
            if wait is None:
                raise
            clock.sleep(wait)
        else:
            retries.succeeded()
            return result
