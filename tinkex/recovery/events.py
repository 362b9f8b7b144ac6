"""The events of recovery on `tinkex.events`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from attrs import field, frozen

from tinkex.observability.events import Event


@frozen(kw_only=True)
class RecoveryEvent(Event):
    """The base class of recovery events.

    Attributes:
        run_id: The run that was lost.
        metadata: The caller's metadata.
    """

    name: ClassVar[str] = "tinkex.recovery"

    run_id: str
    metadata: Mapping[str, object] = field(factory=dict)


@frozen(kw_only=True)
class RecoveryDetected(RecoveryEvent):
    """A run is lost.

    Attributes:
        reason: "corrupted" or "lost", as the server reports it, or the error.
        checkpoint: Path of the run's last checkpoint, if known.
    """

    name: ClassVar[str] = "tinkex.recovery.detected"

    reason: str
    checkpoint: str | None = None


@frozen(kw_only=True)
class RecoveryPollFailed(RecoveryEvent):
    """A monitor failed to get the state of a run; it continues polling.

    Attributes:
        error: Class and message of the error.
    """

    name: ClassVar[str] = "tinkex.recovery.poll_error"

    error: str


@frozen(kw_only=True)
class RecoveryAttemptEvent(RecoveryEvent):
    """The base class of events of an attempt.

    Attributes:
        attempt: Its number, from 1.
        strategy: "latest", "best" or "specific".
    """

    name: ClassVar[str] = "tinkex.recovery.attempt"

    attempt: int
    strategy: str


@frozen(kw_only=True)
class RecoveryStarted(RecoveryAttemptEvent):
    """An attempt starts."""

    name: ClassVar[str] = "tinkex.recovery.started"


@frozen(kw_only=True)
class CheckpointSelected(RecoveryAttemptEvent):
    """The checkpoint to restore was selected.

    Attributes:
        checkpoint: Its path; None if the run starts over because it has none.
    """

    name: ClassVar[str] = "tinkex.recovery.checkpoint_selected"

    checkpoint: str | None


@frozen(kw_only=True)
class ClientCreated(RecoveryAttemptEvent):
    """The checkpoint was loaded.

    Attributes:
        checkpoint: Its path; None if the run starts over.
        model_id: The new run's id.
    """

    name: ClassVar[str] = "tinkex.recovery.client_created"

    checkpoint: str | None
    model_id: str


@frozen(kw_only=True)
class RecoveryCompleted(RecoveryAttemptEvent):
    """A run was restored.

    Attributes:
        checkpoint: Path of the restored checkpoint; None if the run starts over.
        model_id: The new run's id.
    """

    name: ClassVar[str] = "tinkex.recovery.completed"

    checkpoint: str | None
    model_id: str


@frozen(kw_only=True)
class RecoveryFailed(RecoveryAttemptEvent):
    """An attempt failed.

    Attributes:
        error: Class and message of the error.
    """

    name: ClassVar[str] = "tinkex.recovery.failed"

    error: str


@frozen(kw_only=True)
class RecoveryExhausted(RecoveryAttemptEvent):
    """Recovery of a run is abandoned.

    Attributes:
        error: Class and message of the last failure.
    """

    name: ClassVar[str] = "tinkex.recovery.exhausted"

    error: str
