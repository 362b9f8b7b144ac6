"""What is told on `tinkex.events` while a run is brought back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from attrs import field, frozen

from tinkex.observability.events import Event


@frozen(kw_only=True)
class RecoveryEvent(Event):
    """Be the base of the events of recovery; subscribe to it to hear of all of them.

    Attributes:
        run_id: The run that was lost.
        metadata: What the caller wants to be told along.
    """

    name: ClassVar[str] = "tinkex.recovery"

    run_id: str
    metadata: Mapping[str, object] = field(factory=dict)


@frozen(kw_only=True)
class RecoveryDetected(RecoveryEvent):
    """Tell that a run is lost.

    Attributes:
        reason: "corrupted" or "lost", as the server reports it, or the error that was met.
        checkpoint: Path of the run's last checkpoint, if it is known.
    """

    name: ClassVar[str] = "tinkex.recovery.detected"

    reason: str
    checkpoint: str | None = None


@frozen(kw_only=True)
class RecoveryPollFailed(RecoveryEvent):
    """Tell that a monitor could not learn how a run is doing; it goes on asking.

    Attributes:
        error: Class and message of what happened.
    """

    name: ClassVar[str] = "tinkex.recovery.poll_error"

    error: str


@frozen(kw_only=True)
class RecoveryAttemptEvent(RecoveryEvent):
    """Be the base of what is told about one attempt.

    Attributes:
        attempt: Its number, from 1.
        strategy: "latest", "best" or "specific".
    """

    name: ClassVar[str] = "tinkex.recovery.attempt"

    attempt: int
    strategy: str


@frozen(kw_only=True)
class RecoveryStarted(RecoveryAttemptEvent):
    """Tell that an attempt begins."""

    name: ClassVar[str] = "tinkex.recovery.started"


@frozen(kw_only=True)
class CheckpointSelected(RecoveryAttemptEvent):
    """Tell which checkpoint is gone back to.

    Attributes:
        checkpoint: Its path; None if training begins anew, since there is none yet.
    """

    name: ClassVar[str] = "tinkex.recovery.checkpoint_selected"

    checkpoint: str | None


@frozen(kw_only=True)
class ClientCreated(RecoveryAttemptEvent):
    """Tell that the checkpoint is loaded.

    Attributes:
        checkpoint: Its path; None if training begins anew.
        model_id: The new run's id.
    """

    name: ClassVar[str] = "tinkex.recovery.client_created"

    checkpoint: str | None
    model_id: str


@frozen(kw_only=True)
class RecoveryCompleted(RecoveryAttemptEvent):
    """Tell that a run goes on.

    Attributes:
        checkpoint: Path of the checkpoint that it goes on from; None if it begins anew.
        model_id: The new run's id.
    """

    name: ClassVar[str] = "tinkex.recovery.completed"

    checkpoint: str | None
    model_id: str


@frozen(kw_only=True)
class RecoveryFailed(RecoveryAttemptEvent):
    """Tell that an attempt failed.

    Attributes:
        error: Class and message of what happened.
    """

    name: ClassVar[str] = "tinkex.recovery.failed"

    error: str


@frozen(kw_only=True)
class RecoveryExhausted(RecoveryAttemptEvent):
    """Tell that a run is given up.

    Attributes:
        error: Class and message of the last failure.
    """

    name: ClassVar[str] = "tinkex.recovery.exhausted"

    error: str
