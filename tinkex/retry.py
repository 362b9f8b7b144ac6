"""Retries and circuit breakers for calls of your own."""

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
) -> T:
    """Call a function until it succeeds, and return what it returns.

    >>> response = with_retry(lambda: sampler.sample(prompt).result(), max_retries=3)

    tinkex's own calls retry by themselves; this is for a piece of work made of several. Only a
    `TinkexError` that says that it is `retryable` is tried again, and no sooner than the server
    asks; anything else is a mistake that the next attempt would make too. Each attempt is an event
    (`tinkex.events.RetryAttempt`).

    Args:
        function: Called without arguments.
        operation: What events call it.
        max_retries: Attempts after the first one.
        first_wait: Seconds; the upper end of the first wait, doubled for each further one.
        longest_wait: Seconds; the upper end of any wait.
        deadline: Seconds from the first attempt after which none is begun.
        jitter: Draws each wait from its upper end.
        clock: Where time comes from.

    Raises:
        TinkexError: The last attempt's, with the history of `attempts`.
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
        else:
            retries.succeeded()
            return result
