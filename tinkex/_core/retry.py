"""The retry policy: whether a failed exchange is repeated, when, and how often.

Every retry loop uses it: requests, polls, samples, archives, downloads, telemetry, `with_retry`.
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
    # Loads asyncio, which `import tinkex` should not.
    backoff = LazyModule("backoff")

log = logging.getLogger("tinkex.transport")

IDEMPOTENT_STATUSES = frozenset({408, 425, 429})
# Default limit, in seconds, for an archive or a trace that the server builds.
ARCHIVE_PATIENCE = 1800.0
TRACE_PATIENCE = 600.0
# Statuses with which the server says that it did nothing.
_REFUSED_STATUSES = frozenset({429, 503})


def full_jitter(longest: float) -> float:
    """Return a random wait between 0 and `longest` seconds."""
    return backoff.full_jitter(longest)


def _wall_seconds() -> float:
    import time

    return time.time()


@frozen(kw_only=True)
class RetryPolicy:
    """Limits on the attempts of one call, by number and time.

    Waits are drawn with full jitter from 0 to `first_wait` × 2ⁿ, at most `longest_wait`. A Retry-After
    header takes precedence, up to `longest_retry_after`.

    Attributes:
        max_attempts: Total attempts, including the first one.
        deadline: Seconds from the first attempt after which no attempt starts.
        first_wait: Upper limit of the first wait, in seconds.
        longest_wait: Upper limit of any computed wait, in seconds.
        jitter_factor: Share of each computed wait that is random, from 0 to 1.
        longest_retry_after: Longest accepted Retry-After, in seconds. If the server asks for more, the call
            fails, and the error carries the requested wait.
    """

    max_attempts: int = 11
    deadline: float = 300.0
    first_wait: float = 0.5
    longest_wait: float = 20.0
    longest_retry_after: float = 120.0
    jitter_factor: float = 1.0


class RetryBudget:
    """A token bucket that limits retries, so that they do not amplify an outage.

    All calls of a session share one budget. A retry costs 5 tokens, or 10 after a time-out; a success
    earns 1. While the bucket is empty, calls fail at once instead of retrying. A failure of an attempt
    that was in flight when an earlier failure was charged is free: hundreds of samples that fail with
    one connection or one proxy count once.
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
        """Return the remaining tokens."""
        return self._tokens

    def spend(self, cost: int, began: float = math.inf, now: float = -math.inf) -> bool:
        """Take the cost from the budget; return whether it was available.

        Args:
            cost: Tokens.
            began: When the failed attempt began.
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
        """Return one token after a success."""
        with self._lock:
            self._tokens = min(self._capacity, self._tokens + 1)


class Retries:
    """The attempts of one call: number, history, and the wait before the next one.

    Args:
        policy: The limits.
        budget: The session's shared budget.
        clock: The source of time.
        jitter: Returns a random wait up to its argument; full jitter by default.
        operation: The call's name in log lines and events.
        session_id: The call's session in events.
        outlasts_budget: Whether the call continues with an empty budget, at the longest wait. For
            calls whose result would otherwise be lost, such as polls.

    Attributes:
        attempt: The number of the current attempt, from 1.
        attempt_began: When the current attempt began.
        history: One line per failed attempt, oldest first.
        refusal: Why there is no further attempt, in a few words.
        may_have_arrived: Whether a failed attempt may have reached the server.
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
        """Restart the counts: the call made progress."""
        self._started = self.attempt_began = self.clock.now()
        self.attempt = 1
        self.history.clear()
        self._ends = self._wait_ends()

    def began(self) -> None:
        """Emit that an attempt starts."""
        if has_subscribers():
            from tinkex._core.events.types import RetryAttemptStart

            emit(RetryAttemptStart(**self._facts(self.attempt - 1)))

    def succeeded(self) -> None:
        """Emit that the attempt succeeded, and earn a token."""
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
        """Return the seconds to wait after a failed attempt, or raise its error if there is no further one.

        Args:
            error: The attempt's error; if it is raised, it carries the history.
            repeatable: Whether the same bytes may be sent again.
            retry_after: Seconds to wait, in place of the computed or requested wait.
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
        """Wait for the time that `wait_after` returns."""
        await self.clock.pause(self.wait_after(error, repeatable=repeatable, level=level))

    def _drawn(self, longest: float) -> float:
        drawn = longest * self.policy.jitter_factor
        return longest - drawn + self._jitter(drawn)

    def next_wait(
        self, *, retry_after: float | None = None, timed_out: bool = False
    ) -> float | None:
        """Return the seconds to wait before another attempt, or None if there is none.

        After None, `refusal` has the reason in a few words.
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
        # Created before any failure: without file descriptors, nothing can be imported.
        sequence = backoff.expo(factor=self.policy.first_wait, max_value=self.policy.longest_wait)
        next(sequence)  # backoff's generators start with an empty step
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
    """Return a short description of a failed attempt."""
    if isinstance(error, ApiError):
        return f"HTTP {error.status_code}"
    return type(error).__name__


def is_repeatable(error: ApiError | TransportError, operation: str) -> bool:
    """Return whether the same bytes may be sent again after this failure.

    The x-should-retry header takes precedence over the status. Neither overrides the safety of the
    operation: see `RequestClass`.
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
    """Return whether a failed attempt may have reached the server."""
    if isinstance(error, TransportError):
        return error.was_sent
    status = error.status_code or 0
    return status == 408 or status >= 500


def retry_after_seconds(
    headers: Mapping[str, str], wall_clock: Callable[[], float] = _wall_seconds
) -> float | None:
    """Return the wait that the server asks for, in seconds.

    Supports ``retry-after-ms`` and ``retry-after`` in seconds, fractions of seconds, or as an HTTP
    date. Past, negative, infinite or unreadable values count as absent.
    """
    milliseconds = _positive(headers.get("retry-after-ms"))
    # Subnormal numbers underflow to zero seconds.
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
    """Return the value of the x-should-retry header, if there is one."""
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
        # A parsed date has no time zone only for "-0000", which means UTC by RFC 5322.
        seconds = moment.replace(tzinfo=moment.tzinfo or UTC).timestamp() - wall_clock()
    except (TypeError, ValueError, OverflowError, IndexError):
        return None
    return seconds if seconds > 0 else None
