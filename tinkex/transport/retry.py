"""How long to wait before the next attempt, and when to stop trying."""

from __future__ import annotations

import math
import threading
from collections.abc import Callable, Generator, Mapping
from datetime import UTC
from email.utils import parsedate_to_datetime

import backoff
from attrs import frozen

from tinkex.clock import Clock


def _wall_seconds() -> float:
    import time

    return time.time()


@frozen(kw_only=True)
class RetryPolicy:
    """Bound the attempts of one call by their number and by time.

    Waits are drawn by full jitter from 0 to `first_wait` × 2ⁿ, at most `longest_wait`; what the
    server asks for in Retry-After wins, up to `longest_retry_after`.

    Attributes:
        max_attempts: Attempts in all, the first one included.
        deadline: Seconds from the first attempt after which none is begun.
        first_wait: Seconds; the upper end of the first wait.
        longest_wait: Seconds; the upper end of any wait of our own.
        longest_retry_after: Seconds; a server that asks for more gets no further attempt, and the
            error carries what it asked for.
    """

    max_attempts: int = 11
    deadline: float = 300.0
    first_wait: float = 0.5
    longest_wait: float = 20.0
    longest_retry_after: float = 120.0


class RetryBudget:
    """Keep an outage from becoming a storm: retries spend tokens, successes earn them back.

    One budget is shared by all calls of a session. A retry costs 5 tokens, one after a time-out
    10; a success earns 1. With the bucket empty, calls fail at once instead of trying again.
    """

    RETRY_COST = 5
    TIMEOUT_COST = 10

    def __init__(self, capacity: int = 500) -> None:
        self._capacity = capacity
        self._tokens = capacity
        self._lock = threading.Lock()

    @property
    def tokens(self) -> int:
        """Return the tokens that are left."""
        return self._tokens

    def spend(self, cost: int) -> bool:
        """Take the cost if it is there; return whether it was."""
        with self._lock:
            if self._tokens < cost:
                return False
            self._tokens -= cost
            return True

    def earn(self) -> None:
        """Give back one token for a success."""
        with self._lock:
            self._tokens = min(self._capacity, self._tokens + 1)


class Retries:
    """Count the attempts of one call and say how long to wait before the next.

    Args:
        policy: The bounds.
        budget: The session's shared budget.
        clock: Where time comes from.
        jitter: Draws the wait from its upper end; full jitter unless a test says otherwise.
        outlasts_budget: Whether an empty budget only slows the call down. A call whose result
            would be lost for good, such as a poll, waits its longest wait instead of failing.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        budget: RetryBudget,
        clock: Clock,
        jitter: Callable[[float], float] = backoff.full_jitter,
        *,
        outlasts_budget: bool = False,
    ) -> None:
        self.policy = policy
        self.attempt = 1
        self._budget = budget
        self._clock = clock
        self._started = clock.now()
        self._jitter = jitter
        self._outlasts_budget = outlasts_budget
        self._ends = self._wait_ends()
        self.refusal = ""

    @property
    def elapsed(self) -> float:
        """Return the seconds since the first attempt began."""
        return self._clock.now() - self._started

    def _wait_ends(self) -> Generator[float, None, None]:
        sequence = backoff.expo(factor=self.policy.first_wait, max_value=self.policy.longest_wait)
        next(sequence)  # backoff's generators begin with an empty step
        return sequence

    def next_wait(
        self, *, retry_after: float | None = None, timed_out: bool = False
    ) -> float | None:
        """Return the seconds to wait before another attempt, or None to give up.

        After None, `refusal` says why in a few words.
        """
        if self.attempt >= self.policy.max_attempts:
            self.refusal = f"gave up after {self.attempt} attempts in {self.elapsed:.1f} s"
            return None
        if retry_after is not None and retry_after > self.policy.longest_retry_after:
            self.refusal = f"the server asks to wait {retry_after:.0f} s"
            return None
        wait = self._jitter(next(self._ends)) if retry_after is None else retry_after
        cost = RetryBudget.TIMEOUT_COST if timed_out else RetryBudget.RETRY_COST
        if self.elapsed + wait > self.policy.deadline:
            self.refusal = f"gave up after {self.attempt} attempts in {self.elapsed:.1f} s"
            return None
        if not self._budget.spend(cost):
            if not self._outlasts_budget:
                self.refusal = (
                    "too many calls of this session are failing (its retry budget is spent)"
                )
                return None
            wait = max(wait, self.policy.longest_wait)
        self.attempt += 1
        return wait


def retry_after_seconds(
    headers: Mapping[str, str], wall_clock: Callable[[], float] = _wall_seconds
) -> float | None:
    """Read how long the server asks to wait.

    Understands ``retry-after-ms`` and ``retry-after`` in seconds, fractions of them, or as an HTTP
    date. What is past, negative, not finite or unreadable counts as nothing said.
    """
    milliseconds = _positive(headers.get("retry-after-ms"))
    # The smallest of numbers are no seconds at all.
    if milliseconds is not None and milliseconds / 1000 > 0:
        return milliseconds / 1000
    text = headers.get("retry-after")
    if text is None:
        return None
    try:
        float(text)
    except ValueError:
        return _seconds_until(text, wall_clock)
    return _positive(text)


def _positive(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def _seconds_until(date: str, wall_clock: Callable[[], float]) -> float | None:
    try:
        moment = parsedate_to_datetime(date)
        # Only "-0000" gives a date without a zone, and by RFC 5322 it means UTC.
        seconds = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - wall_clock()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return seconds if seconds > 0 else None
