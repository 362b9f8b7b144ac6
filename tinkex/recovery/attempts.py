"""Counting and events of recovery attempts."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NoReturn

from tinkex._base.clock import Clock
from tinkex.observability.events import emit
from tinkex.recovery.events import (
    CheckpointSelected,
    ClientCreated,
    RecoveryCompleted,
    RecoveryExhausted,
    RecoveryFailed,
    RecoveryStarted,
)
from tinkex.recovery.policy import LATEST, RecoveryPolicy
from tinkex.recovery.restore import described
from tinkex.training import TrainingClient

log = logging.getLogger("tinkex.recovery")


class Attempts:
    """A limit on attempts without progress.

    A step beyond all earlier ones counts as progress and resets the count: a run may be interrupted any
    number of times as long as it advances.

    Args:
        policy: The limits.
        clock: The clock of the waits.
    """

    def __init__(self, policy: RecoveryPolicy, clock: Clock) -> None:
        self.policy = policy
        self._clock = clock
        self._furthest = -1
        self._number = 0

    def begin(self, run_id: str, step: int, error: BaseException) -> None:
        """Count an attempt and wait for its back-off.

        Args:
            run_id: The run that was lost.
            step: The step at which it was lost.
            error: The error that ended the run.

        Raises:
            BaseException: `error`, if the policy allows no further attempt.
        """
        if step > self._furthest:
            self._furthest, self._number = step, 0
        if self._number >= self.policy.max_attempts:
            self.give_up(run_id, error)
        self._number += 1
        wait = self.policy.wait_before(self._number)
        log.warning(
            "run %s was lost at step %d (%s); restoring, attempt %d of %d, in %.1f s",
            run_id, step, described(error), self._number, self.policy.max_attempts, wait,
        )  # fmt: skip
        self._clock.sleep(wait)
        emit(RecoveryStarted(run_id=run_id, attempt=self._number, strategy=LATEST))

    def failed(self, run_id: str, error: BaseException) -> None:
        """Emit that the attempt failed."""
        emit(
            RecoveryFailed(
                run_id=run_id, attempt=self._number, strategy=LATEST, error=described(error)
            )
        )

    def succeeded(self, run_id: str, training: TrainingClient, checkpoint: str | None) -> None:
        """Emit that the run was restored."""
        fields = {
            "run_id": run_id,
            "attempt": self._number,
            "strategy": LATEST,
            "checkpoint": checkpoint,
        }
        emit(CheckpointSelected(**fields))  # type: ignore[arg-type]
        emit(ClientCreated(**fields, model_id=training.model_id))  # type: ignore[arg-type]
        emit(RecoveryCompleted(**fields, model_id=training.model_id))  # type: ignore[arg-type]
        log.info(
            "run %s continues as %s from %s", run_id, training.model_id, checkpoint or "step 0"
        )
        if self.policy.on_recovery is not None:
            contained(self.policy.on_recovery, training, training, checkpoint or "")

    def give_up(self, run_id: str, error: BaseException) -> NoReturn:
        """Emit that recovery is abandoned, and raise the error."""
        emit(
            RecoveryExhausted(
                run_id=run_id, attempt=self._number, strategy=LATEST, error=described(error)
            )
        )
        if self.policy.on_failure is not None:
            contained(self.policy.on_failure, run_id, error)
        error.add_note(
            f"tinkex.recovery: run {run_id} was lost, and {self._number} attempts to restore it failed; "
            "start the program again to resume from its last checkpoint"
        )
        raise error


def contained(function: Callable[..., object], *args: object) -> None:
    """Call a user's function; its exceptions are logged and go no further."""
    try:
        function(*args)
    except Exception:
        log.exception("A callback of a RecoveryPolicy failed; recovery continues")
