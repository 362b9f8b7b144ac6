"""Circuit breakers: calls to a failing service fail fast, and are tried again after a pause.

The pattern is Nygard's (*Release It!*). A *closed* breaker lets calls through until a number of
consecutive calls have failed. An *open* one refuses calls at once, so that callers do not queue up behind
time-outs and the service can recover. After a pause the breaker is *half open*: it lets a few calls
through, and their outcome closes or opens it again.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ClassVar, Literal, TypeVar

from attrs import frozen

from tinkex._base.clock import SYSTEM_CLOCK, Clock
from tinkex._core.events.bus import Event, emit
from tinkex.errors import CircuitOpenError, ValidationError

__all__ = ["BreakerChange", "BreakerState", "CircuitBreaker", "CircuitBreakers"]

T = TypeVar("T")
BreakerState = Literal["closed", "open", "half_open"]


@frozen(kw_only=True)
class BreakerChange(Event):
    """A breaker changed its state.

    Attributes:
        breaker: The breaker's name.
        before: The previous state.
        after: The new state.
        failures: Consecutive failures so far.
    """

    name: ClassVar[str] = "tinkex.circuit_breaker.change"
    breaker: str
    before: BreakerState
    after: BreakerState
    failures: int


class CircuitBreaker:
    """A breaker around one operation: it refuses calls for a while after repeated failures.

    >>> breaker = CircuitBreaker("my service", failure_threshold=3, reset_timeout=10.0)
    >>> breaker.call(max, 1, 2)
    2

    Thread-safe.

    Args:
        name: The breaker's name in errors and events.
        failure_threshold: Consecutive failures that open the breaker.
        reset_timeout: Seconds that it stays open.
        half_open_calls: Concurrent calls in the half-open state, until one of them has an outcome.
        clock: The source of time.

    Raises:
        ValidationError: A number is out of range.
    """

    def __init__(
        self,
        name: str = "",
        *,
        failure_threshold: int = 5,
        reset_timeout: float = 30.0,
        half_open_calls: int = 1,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        for field, number in (
            ("failure_threshold", failure_threshold),
            ("half_open_calls", half_open_calls),
        ):
            if isinstance(number, bool) or not isinstance(number, int) or number < 1:
                raise ValidationError("must be a positive integer", path=field)
        if not 0 <= reset_timeout < float("inf"):
            raise ValidationError("must be a number of seconds", path="reset_timeout")
        self.name = name
        self._threshold = failure_threshold
        self._reset_timeout = reset_timeout
        self._half_open_calls = half_open_calls
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._trials = 0
        self._opened_at: float | None = None
        # Outcomes of calls that began before the last change are ignored.
        self._era = 0

    @property
    def state(self) -> BreakerState:
        """Return "closed", "open" or "half_open"."""
        with self._lock:
            return self._state()

    @property
    def retry_after(self) -> float:
        """Return the seconds until the breaker lets a call through; 0 if it does now."""
        with self._lock:
            return self._left()

    def call(
        self,
        function: Callable[..., T],
        *args: object,
        is_failure: Callable[[BaseException], bool] | None = None,
        **kwargs: object,
    ) -> T:
        """Call a function through the breaker.

        Args:
            function: The function to call.
            args: Its arguments.
            is_failure: Returns whether an error counts as a failure of the service; by default every
                `Exception` does.
            kwargs: Its keyword arguments.

        Raises:
            CircuitOpenError: The breaker is open; the function was not called.
        """
        with self.guard(is_failure):
            return function(*args, **kwargs)

    @contextmanager
    def guard(self, is_failure: Callable[[BaseException], bool] | None = None) -> Iterator[None]:
        """Run a block through the breaker, as `call` does for a function.

        >>> with CircuitBreaker().guard():
        ...     pass

        Raises:
            CircuitOpenError: The breaker is open; the block was not entered.
        """
        era = self._enter()
        try:
            yield
        except Exception as error:
            failed = is_failure is None or is_failure(error)
            self._leave(era, succeeded=not failed)
            raise
        except BaseException:
            # An interrupt is no evidence about the service.
            self._leave(era, succeeded=None)
            raise
        self._leave(era, succeeded=True)

    def reset(self) -> None:
        """Close the breaker and clear its failures."""
        with self._lock:
            before = self._state()
            self._close()
        self._emit_change(before, "closed", 0)

    def _enter(self) -> int:
        with self._lock:
            state = self._state()
            is_full = state == "half_open" and self._trials >= self._half_open_calls
            if state == "open" or is_full:
                left = self._left()
                raise CircuitOpenError(self._refusal(left), retry_after=left)
            if state == "half_open":
                self._trials += 1
            return self._era

    def _leave(self, era: int, *, succeeded: bool | None) -> None:
        with self._lock:
            if era != self._era:
                return
            before = self._state()
            if before == "half_open":
                self._trials -= 1
            if succeeded is None or before == "open":
                return
            if succeeded:
                self._close()
            else:
                self._failures += 1
                if before == "half_open" or self._failures >= self._threshold:
                    self._opened_at, self._trials = self._clock.now(), 0
                    self._era += 1
            after, failures = self._state(), self._failures
        self._emit_change(before, after, failures)

    def _close(self) -> None:
        if self._opened_at is not None:
            self._era += 1
        self._failures, self._trials, self._opened_at = 0, 0, None

    def _state(self) -> BreakerState:
        if self._opened_at is None:
            return "closed"
        return "open" if self._left() > 0 else "half_open"

    def _left(self) -> float:
        if self._opened_at is None:
            return 0.0
        return max(0.0, self._opened_at + self._reset_timeout - self._clock.now())

    def _refusal(self, left: float) -> str:
        when = f"in {left:.1f} s" if left else "when the call that tests it has ended"
        return (
            f"calls of {self.name or 'this function'} are refused, since the last "
            f"{self._failures} failed; the next call is allowed {when}. Wait that long (retry_after), or "
            "check whether the service is up"
        )

    def _emit_change(self, before: BreakerState, after: BreakerState, failures: int) -> None:
        if before != after:
            emit(BreakerChange(breaker=self.name, before=before, after=after, failures=failures))

    def __repr__(self) -> str:
        return f"<CircuitBreaker {self.name or 'without a name'}: {self.state}>"


class CircuitBreakers:
    """One breaker per name, all with the same settings.

    >>> breakers = CircuitBreakers(failure_threshold=3)
    >>> breakers.get("asample") is breakers.get("asample")
    True

    Args:
        failure_threshold: As for `CircuitBreaker`.
        reset_timeout: As for `CircuitBreaker`.
        half_open_calls: As for `CircuitBreaker`.
        clock: The source of time.
    """

    def __init__(
        self,
        *,
        failure_threshold: int = 5,
        reset_timeout: float = 30.0,
        half_open_calls: int = 1,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:

        def make(name: str) -> CircuitBreaker:
            return CircuitBreaker(
                name,
                failure_threshold=failure_threshold,
                reset_timeout=reset_timeout,
                half_open_calls=half_open_calls,
                clock=clock,
            )

        self._make: Callable[[str], CircuitBreaker] = make
        self._make("")  # bad settings fail here, not at the first call
        self._breakers: dict[str, CircuitBreaker] = {}
        self._lock = threading.Lock()

    def get(self, name: str) -> CircuitBreaker:
        """Return the breaker of a name, created on first use."""
        with self._lock:
            breaker = self._breakers.get(name)
            if breaker is None:
                breaker = self._breakers[name] = self._make(name)
            return breaker

    def states(self) -> dict[str, BreakerState]:
        """Return the state of each breaker in use, by name."""
        with self._lock:
            breakers = list(self._breakers.values())
        return {breaker.name: breaker.state for breaker in breakers}

    def reset(self, name: str | None = None) -> None:
        """Close the breaker of a name, or all breakers."""
        with self._lock:
            breakers = [one for one in self._breakers.values() if name in (None, one.name)]
        for breaker in breakers:
            breaker.reset()

    def discard(self, name: str) -> None:
        """Remove the breaker of a name, if there is one."""
        with self._lock:
            self._breakers.pop(name, None)
