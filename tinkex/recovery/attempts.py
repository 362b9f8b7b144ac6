"""Count how often a run was brought back, and tell of it."""

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
    """Bound how often the same stretch of a run is tried again.

    A step that gets further than any before it is progress, and the count begins anew: a run may be
    interrupted any number of times as long as it moves on.

    Args:
        policy: The bounds.
        clock: What waits between attempts.
    """

    def __init__(self, policy: RecoveryPolicy, clock: Clock) -> None:
        self.policy = policy
        self._clock = clock
        self._furthest = -1
        self._number = 0

    def begin(self, run_id: str, step: int, error: BaseException) -> None:
        """Count one more attempt and wait until it is due.

        Args:
            run_id: The run that was lost.
            step: The step at which it was lost.
            error: What was met.

        Raises:
            BaseException: The error itself, if there were as many attempts as the policy allows.
        """
        if step > self._furthest:
            self._furthest, self._number = step, 0
        if self._number >= self.policy.max_attempts:
            self.give_up(run_id, error)
        self._number += 1
        wait = self.policy.wait_before(self._number)
        log.warning(
            "run %s was lost at step %d (%s); going back, attempt %d of %d, in %.1f s",
            run_id, step, described(error), self._number, self.policy.max_attempts, wait,
        )  # fmt: skip
        self._clock.sleep(wait)
        emit(RecoveryStarted(run_id=run_id, attempt=self._number, strategy=LATEST))

    def failed(self, run_id: str, error: BaseException) -> None:
        """Tell that the attempt did not bring the run back."""
        emit(
            RecoveryFailed(
                run_id=run_id, attempt=self._number, strategy=LATEST, error=described(error)
            )
        )

    def succeeded(self, run_id: str, training: TrainingClient, checkpoint: str | None) -> None:
        """Tell that the run goes on."""
        said = {
            "run_id": run_id,
            "attempt": self._number,
            "strategy": LATEST,
            "checkpoint": checkpoint,
        }
        emit(CheckpointSelected(**said))  # type: ignore[arg-type]
        emit(ClientCreated(**said, model_id=training.model_id))  # type: ignore[arg-type]
        emit(RecoveryCompleted(**said, model_id=training.model_id))  # type: ignore[arg-type]
        log.info("run %s goes on as %s from %s", run_id, training.model_id, checkpoint or "step 0")
        if self.policy.on_recovery is not None:
            contained(self.policy.on_recovery, training, training, checkpoint or "")

    def give_up(self, run_id: str, error: BaseException) -> NoReturn:
        """Tell that the run is given up, and raise the error."""
        emit(
            RecoveryExhausted(
                run_id=run_id, attempt=self._number, strategy=LATEST, error=described(error)
            )
        )
        if self.policy.on_failure is not None:
            contained(self.policy.on_failure, run_id, error)
        error.add_note(
            f"tinkex.recovery: run {run_id} was lost, and given up after {self._number} attempts; "
            "start the program again to go on from its last checkpoint"
        )
        raise error


def contained(function: Callable[..., object], *args: object) -> None:
    """Call a user's function; what it raises is logged and goes no further."""
    try:
        function(*args)
    except Exception:
        log.exception("A callback of a RecoveryPolicy failed; recovery goes on")
