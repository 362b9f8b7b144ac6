"""The one retry policy: whether a failed exchange is repeated, when, and how often.

Every loop uses it: requests, polls, samples, archives, downloads, telemetry, `with_retry`.
"""

from __future__ import annotations

import logging
import math
import threading
from collections.abc import Callable, Generator, Mapping
from datetime import UTC
from typing import TYPE_CHECKING, Any

from attrs import frozen

from tinkex._base.clock import Clock
from tinkex._base.lazy import LazyModule
from tinkex._core.events.bus import emit, has_subscribers
from tinkex._core.retry_safety import RequestClass, request_class
from tinkex.errors import ApiError, ReadTimeoutError, TinkexError, TransportError

if TYPE_CHECKING:
    import backoff
else:
    # It loads asyncio, which importing tinkex should not.
    backoff = LazyModule("backoff")

log = logging.getLogger("tinkex.transport")

IDEMPOTENT_STATUSES = frozenset({408, 425, 429})
# Seconds that a caller waits, unless told otherwise, for an archive or a trace that the server builds.
ARCHIVE_PATIENCE = 1800.0
TRACE_PATIENCE = 600.0
# The server says that it did nothing.
_REFUSED_STATUSES = frozenset({429, 503})


def full_jitter(longest: float) -> float:
    """Draw a wait between 0 and the longest."""
    return backoff.full_jitter(longest)


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
        jitter_factor: Share of each wait of our own that is drawn by chance.
        longest_retry_after: Seconds; a server that asks for more gets no further attempt, and the
            error carries what it asked for.
    """

    max_attempts: int = 11
    deadline: float = 300.0
    first_wait: float = 0.5
    longest_wait: float = 20.0
    longest_retry_after: float = 120.0
    jitter_factor: float = 1.0


class RetryBudget:
    """Keep an outage from becoming a storm: retries spend tokens, successes earn them back.

    One budget is shared by all calls of a session. A retry costs 5 tokens, one after a time-out
    10; a success earns 1. With the bucket empty, calls fail at once instead of trying again. What
    was under way when another failure was paid for costs nothing: hundreds of samples that one
    connection, or one proxy, takes with it are one trouble.
    """

    RETRY_COST = 5
    TIMEOUT_COST = 10

    def __init__(self, capacity: int = 500) -> None:
        self._capacity = capacity
        self._tokens = capacity
        self._paid_at = -math.inf
        self._lock = threading.Lock()

    @property
    def tokens(self) -> int:
        """Return the tokens that are left."""
        return self._tokens

    def spend(self, cost: int, began: float = math.inf, now: float = -math.inf) -> bool:
        """Take the cost if it is there; return whether it was.

        Args:
            cost: Tokens.
            began: When the attempt began that failed.
            now: When it failed.
        """
        with self._lock:
            if began < self._paid_at:
                return True
            if self._tokens < cost:
                return False
            self._tokens -= cost
            self._paid_at = now
            return True

    def earn(self) -> None:
        """Give back one token for a success."""
        with self._lock:
            self._tokens = min(self._capacity, self._tokens + 1)


class Retries:
    """The attempts of one call: their count, their history, and the wait before the next.

    Args:
        policy: The bounds.
        budget: The session's shared budget.
        clock: The source of time.
        jitter: Draws the wait from its upper end; full jitter unless a test says otherwise.
        operation: The call's name in log lines and events.
        session_id: The call's session in events.
        outlasts_budget: Whether an empty budget only slows the call down. A call whose result
            would be lost for good, such as a poll, waits its longest wait instead of failing.

    Attributes:
        attempt: The number of the current attempt, from 1.
        attempt_began: When it began.
        history: One line for each failed attempt, oldest first.
        refusal: Why there is no further attempt, in a few words.
        may_have_arrived: Whether a failed attempt may have taken effect at the server.
    """

    def __init__(
        self,
        policy: RetryPolicy,
        budget: RetryBudget,
        clock: Clock,
        jitter: Callable[[float], float] = full_jitter,
        *,
        operation: str = "",
        session_id: str | None = None,
        outlasts_budget: bool = False,
    ) -> None:
        self.policy = policy
        self.clock = clock
        self.attempt = 1
        self.history: list[str] = []
        self.refusal = ""
        self.may_have_arrived = False
        self.operation = operation
        self._session_id = session_id
        self._budget = budget
        self._started = self.attempt_began = clock.now()
        self._jitter = jitter
        self._outlasts_budget = outlasts_budget
        self._ends = self._wait_ends()

    @property
    def elapsed(self) -> float:
        """Return the seconds since the first attempt began."""
        return self.clock.now() - self._started

    @property
    def left(self) -> float:
        """Return the seconds until the deadline."""
        return self.policy.deadline - self.elapsed

    def progressed(self) -> None:
        """Start counting again: the call got further than before."""
        self._started = self.attempt_began = self.clock.now()
        self.attempt = 1
        self.history.clear()
        self._ends = self._wait_ends()

    def began(self) -> None:
        """Emit that an attempt begins."""
        if has_subscribers():
            from tinkex._core.events.types import RetryAttemptStart

            emit(RetryAttemptStart(**self._facts(self.attempt - 1)))

    def succeeded(self) -> None:
        """Emit that the attempt succeeded, and pay back into the budget."""
        self._budget.earn()
        if self.attempt > 1:
            log.info("%s succeeded on attempt %d", self.operation, self.attempt)
        if has_subscribers():
            from tinkex._core.events.types import RetryAttemptStop

            emit(RetryAttemptStop(**self._facts(self.attempt - 1), duration=self.elapsed))

    def wait_after(
        self,
        error: TinkexError,
        *,
        repeatable: bool,
        retry_after: float | None = None,
        level: int = logging.WARNING,
    ) -> float:
        """Return the seconds to wait after a failed attempt, or raise its error if it was the last.

        Args:
            error: What the attempt failed with; if it is raised, it carries the history.
            repeatable: Whether the same bytes may be sent again.
            retry_after: Seconds to wait, where neither the back-off nor the server decides that.
            level: The level of the log line about the next attempt.
        """
        attempt = self.attempt
        self.history.append(f"{self.elapsed:.1f} s: {short(error)}")
        wait = None
        if repeatable:
            wait = self.next_wait(
                retry_after=retry_after or error.retry_after,
                timed_out=isinstance(error, ReadTimeoutError),
            )
        self._emit_failure(attempt, error, wait)
        if wait is None:
            error.attempts = tuple(self.history)
            if self.refusal:
                error.message += f"; {self.refusal}"
            raise error
        self.may_have_arrived = self.may_have_arrived or may_have_arrived(error)
        log.log(
            level, "%s: %s; attempt %d in %.1f s", self.operation, short(error), self.attempt, wait
        )
        return wait

    async def pause_after(
        self, error: TinkexError, *, repeatable: bool, level: int = logging.WARNING
    ) -> None:
        """Wait as long as `wait_after` says."""
        await self.clock.pause(self.wait_after(error, repeatable=repeatable, level=level))

    def _drawn(self, longest: float) -> float:
        drawn = longest * self.policy.jitter_factor
        return longest - drawn + self._jitter(drawn)

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
        wait = self._drawn(next(self._ends)) if retry_after is None else retry_after
        cost = RetryBudget.TIMEOUT_COST if timed_out else RetryBudget.RETRY_COST
        if self.elapsed + wait > self.policy.deadline:
            self.refusal = f"gave up after {self.attempt} attempts in {self.elapsed:.1f} s"
            return None
        if not self._budget.spend(cost, self.attempt_began, self.clock.now()):
            if not self._outlasts_budget:
                self.refusal = (
                    "too many calls of this session are failing (its retry budget is spent)"
                )
                return None
            wait = max(wait, self.policy.longest_wait)
        self.attempt += 1
        self.attempt_began = self.clock.now() + wait
        return wait

    def _wait_ends(self) -> Generator[float, None, None]:
        # Made before anything fails: with no file descriptors left, nothing can be imported.
        sequence = backoff.expo(factor=self.policy.first_wait, max_value=self.policy.longest_wait)
        next(sequence)  # backoff's generators begin with an empty step
        return sequence

    def _emit_failure(self, attempt: int, error: TinkexError, wait: float | None) -> None:
        if not has_subscribers():
            return
        from tinkex._core.events.types import RetryAttemptFailed, RetryAttemptRetry

        facts: dict[str, Any] = {
            **self._facts(attempt - 1),
            "duration": self.elapsed,
            "error_type": type(error).__name__,
            "status_code": error.status_code,
        }
        facts["session_id"] = self._session_id or error.session_id
        if wait is None:
            emit(RetryAttemptFailed(**facts))
        else:
            emit(RetryAttemptRetry(**facts, delay=wait))

    def _facts(self, attempt: int) -> dict[str, Any]:
        return {
            "operation": self.operation.removesuffix("_binary"),
            "attempt": attempt,
            "session_id": self._session_id,
        }


def short(error: TinkexError) -> str:
    """Return what went wrong with one attempt in two words."""
    if isinstance(error, ApiError):
        return f"HTTP {error.status_code}"
    return type(error).__name__


def is_repeatable(error: ApiError | TransportError, operation: str) -> bool:
    """Return whether the same bytes may be sent again after this failure.

    The server's own word (x-should-retry) stands above its status, and neither makes a request
    safe to repeat that is not: see `RequestClass`.
    """
    kind = request_class(operation)
    if kind is RequestClass.BACKGROUND:
        return False
    if isinstance(error, TransportError):
        is_safe = kind.is_idempotent or not error.was_sent
        return is_safe and error.retryable
    if error.should_retry is not None:
        return error.should_retry
    status = error.status_code or 0
    if not kind.is_idempotent:
        return status in _REFUSED_STATUSES
    return status in IDEMPOTENT_STATUSES or (status >= 500 and status != 501)


def may_have_arrived(error: TinkexError) -> bool:
    """Return whether a failed attempt may have taken effect at the server."""
    if isinstance(error, TransportError):
        return error.was_sent
    status = error.status_code or 0
    return status == 408 or status >= 500


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


def should_retry(headers: Mapping[str, str]) -> bool | None:
    """Return the server's own word on whether the same request may be sent again, if it gave one."""
    return {"true": True, "false": False}.get(headers.get("x-should-retry", "").lower())


def _positive(text: str | None) -> float | None:
    try:
        number = float(text) if text is not None else math.nan
    except ValueError:
        return None
    return number if math.isfinite(number) and number > 0 else None


def _seconds_until(date: str, wall_clock: Callable[[], float]) -> float | None:
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(date)
        # Only "-0000" gives a date without a zone, and by RFC 5322 it means UTC.
        seconds = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - wall_clock()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return seconds if seconds > 0 else None
