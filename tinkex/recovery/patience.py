"""Repetition of calls that are applied exactly once, before a checkpoint is restored.

After a full server (429), an outage (5xx) or a lost connection, a call's number is free: the same call is
applied once, whatever happened to the first one. A result that could not be fetched may still arrive.
Neither costs the run a step.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

from attrs import define

from tinkex._base.clock import Clock
from tinkex._core.polling import Promise, Work
from tinkex._core.submission import SubmissionQueue
from tinkex.errors import DecodeError, RateLimitError, ServerError, TinkexError, TransportError
from tinkex.recovery.policy import RecoveryPolicy
from tinkex.recovery.restore import described

T = TypeVar("T")

log = logging.getLogger("tinkex.recovery")

# Longer waits are not accepted from a server.
LONGEST_RETRY_AFTER = 600.0


def is_repeatable(error: TinkexError) -> bool:
    """Return whether the same call may succeed, and is applied once, if it is repeated.

    `TinkexError.retryable` includes the server's x-should-retry header.
    """
    if isinstance(error, DecodeError):
        # An unreadable response, for example from a proxy: the server recognises number and bytes.
        return True
    passing = isinstance(error, RateLimitError | ServerError | TransportError)
    return passing and error.retryable and (error.retry_after or 0.0) <= LONGEST_RETRY_AFTER


@define
class _Failures:
    """The failures since the last success, and the wait after each."""

    policy: RecoveryPolicy
    failures: int = 0

    def wait_after(self, error: TinkexError) -> float | None:
        """Return the seconds to wait before the call is repeated; None to give up."""
        if not is_repeatable(error) or self.failures >= self.policy.max_attempts:
            return None
        self.failures += 1
        wait = max(self.policy.wait_before(self.failures + 1), error.retry_after or 0.0)
        log.warning(
            "%s; repeating the call (%d of %d) in %.1f s",
            described(error), self.failures, self.policy.max_attempts, wait,
        )  # fmt: skip
        return wait


class Patience:
    """A limit on the repetitions of one call of a run.

    Args:
        policy: The number of repetitions, and the waits before them.
        clock: The clock of the waits.
    """

    def __init__(self, policy: RecoveryPolicy, clock: Clock) -> None:
        self._policy = policy
        self._clock = clock
        self._partly_applied: BaseException | None = None

    def submitted(self, queue: SubmissionQueue, submit: Callable[[], T]) -> T:
        """Repeat a call of a model until the server accepts it.

        Args:
            queue: The model's queue; other threads' calls wait, since the number belongs to this one.
            submit: Sends the call, with the same bytes each time.

        Raises:
            TinkexError: The call cannot be repeated, or was repeated too often.
        """
        failures = _Failures(self._policy)
        with queue.turn():
            number = queue.next_number
            while True:
                try:
                    return submit()
                except TinkexError as error:
                    if queue.next_number != number:
                        # A part of it was applied, and would be applied twice.
                        self._partly_applied = error
                        raise
                    wait = failures.wait_after(error)
                    if wait is None:
                        raise
                self._clock.sleep(wait)

    def followed(self, work: Work[T]) -> Work[T]:
        """Return work that polls for its result again when `work` gives up."""
        return _PatientWork(work, self, _Failures(self._policy), self._clock)

    def give_up(self, error: BaseException) -> None:
        """Note the error of a call that was applied, and whose result is unavailable."""
        self._partly_applied = error

    def is_partly_applied(self, error: BaseException) -> bool:
        """Return whether an error ended a call that the model may have applied in part."""
        return error is self._partly_applied


class _PatientWork:
    """Work that polls for its result again when the wrapped work gives up."""

    def __init__(
        self, work: Work[Any], patience: Patience, failures: _Failures, clock: Clock
    ) -> None:
        self._work = work
        self._patience = patience
        self._failures = failures
        self._clock = clock

    @property
    def promise(self) -> Promise[Any] | None:
        return self._work.promise

    def on_queue_state(self, observer: Callable[[str, str | None], object] | None) -> None:
        self._work.on_queue_state(observer)

    async def result(self) -> Any:
        while True:
            try:
                return await self._work.result()
            except TinkexError as error:
                # An unreadable response stays unreadable.
                wait = None if isinstance(error, DecodeError) else self._failures.wait_after(error)
                if wait is None:
                    self._patience.give_up(error)
                    raise
            await self._clock.pause(wait)
