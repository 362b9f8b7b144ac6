"""How a lost run is brought back: from which checkpoint, how often, how patiently."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Literal, Self, cast

import attrs
from attrs import field, frozen

from tinkex._core.checks import check_training_path, checked_count
from tinkex.errors import ValidationError

if TYPE_CHECKING:
    from tinkex.training import TrainingClient

LATEST = "latest"
BEST = "best"


Duration = float | timedelta


def seconds(value: Duration, path: str) -> float:
    """Return a duration in seconds; it is given as a number of them or as a timedelta."""
    found: Any = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < 1e9:
        raise ValidationError(
            f"must be a number of seconds or a timedelta, 0 or more, not {value!r}", path=path
        )
    return float(found)


@frozen
class Recovered:
    """Say what a run that was lost goes on as.

    Attributes:
        run_id: The run that was lost.
        training: The client that goes on with it; its `model_id` is the new run's id.
        checkpoint: The path that it was restored from.
        attempts: How many attempts that took.
        optimizer: Whether the optimizer's state was asked for as well.
    """

    run_id: str
    training: TrainingClient
    checkpoint: str
    attempts: int
    optimizer: bool


OnRecovery = Callable[["TrainingClient | None", "TrainingClient", str], object]
OnFailure = Callable[[str, BaseException], object]


def _backoff(value: Duration) -> float:
    return seconds(value, "backoff")


def _max_backoff(value: Duration) -> float:
    return seconds(value, "max_backoff")


def _poll_interval(value: Duration) -> float:
    return seconds(value, "poll_interval")


@frozen(kw_only=True)
class RecoveryPolicy:
    """Say how a lost run is brought back. It is off unless `enabled` is set.

    >>> RecoveryPolicy(enabled=True, checkpoint="best", metric="loss", mode="min").max_attempts
    3

    Durations are seconds, or timedeltas.

    Attributes:
        enabled: Whether anything is brought back at all.
        checkpoint: "latest"; "best" by `metric`; or the ``tinker://`` path of a certain one.
        metric: For "best": a number that was recorded with each checkpoint, by
            ``save_state(name, user_metadata={"loss": "1.25"})`` or by `ResumableRun.record`.
        mode: For "best": whether the smallest ("min") or the largest ("max") is best.
        restore_optimizer: Whether the optimizer's moments and step count come back too, so that
            training goes on exactly where the checkpoint was.
        max_attempts: How often it is tried.
        backoff: Seconds before the second attempt; each one after it waits twice as long.
        max_backoff: Seconds; the longest wait between two attempts.
        poll_interval: Seconds between two looks of a `RecoveryMonitor`.
        on_recovery: Called with the old client (or None), the new one, and the checkpoint's path.
        on_failure: Called with the run's id and the last error when it is given up. What either of
            the two raises is logged and goes no further.

    Raises:
        ValidationError: A field cannot be right; the path names it.
    """

    enabled: bool = False
    checkpoint: str = LATEST
    metric: str | None = None
    mode: Literal["min", "max"] = "min"
    restore_optimizer: bool = True
    max_attempts: int = 3
    backoff: float = field(default=5.0, converter=_backoff)
    max_backoff: float = field(default=60.0, converter=_max_backoff)
    poll_interval: float = field(default=30.0, converter=_poll_interval)
    on_recovery: OnRecovery | None = None
    on_failure: OnFailure | None = None

    def __attrs_post_init__(self) -> None:
        for name in ("enabled", "restore_optimizer"):
            if not isinstance(cast("Any", getattr(self, name)), bool):
                raise ValidationError(
                    f"must be True or False, not {getattr(self, name)!r}", path=name
                )
        checked_count(self.max_attempts, "max_attempts", 1)
        if self.poll_interval == 0:
            raise ValidationError("must be more than 0 seconds", path="poll_interval")
        if self.max_backoff < self.backoff:
            raise ValidationError(
                f"must be at least backoff ({self.backoff:g} s), not {self.max_backoff:g} s",
                path="max_backoff",
            )
        for name in ("on_recovery", "on_failure"):
            if getattr(self, name) is not None and not callable(getattr(self, name)):
                raise ValidationError("must be a function", path=name)
        self._check_choice()

    def _check_choice(self) -> None:
        if self.mode not in ("min", "max"):
            raise ValidationError(f"must be 'min' or 'max', not {self.mode!r}", path="mode")
        if self.checkpoint not in (LATEST, BEST):
            try:
                check_training_path(self.checkpoint)
            except ValidationError as error:
                raise ValidationError(
                    f"must be 'latest', 'best' or a tinker:// path to train on from: {error}",
                    path="checkpoint",
                ) from None
        if self.checkpoint == BEST and not self.metric:
            raise ValidationError("is needed for checkpoint='best'", path="metric")

    @property
    def strategy(self) -> Literal["latest", "best", "specific"]:
        """Return by which rule the checkpoint is chosen."""
        if self.checkpoint == LATEST:
            return "latest"
        return "best" if self.checkpoint == BEST else "specific"

    @classmethod
    def from_mapping(cls, fields: Mapping[str, Any]) -> Self:
        """Return a policy out of a mapping, such as a table of a configuration file.

        >>> RecoveryPolicy.from_mapping({"enabled": True, "max_attempts": 5}).max_attempts
        5

        Raises:
            ValidationError: A name is no field, or a value cannot be right.
        """
        known = [entry.name for entry in attrs.fields(cls)]
        unknown = sorted(set(fields) - set(known))
        if unknown:
            raise ValidationError(f"is none of {', '.join(known)}", path=unknown[0])
        return cls(**fields)

    def wait_before(self, attempt: int) -> float:
        """Return the seconds to wait before an attempt; the first one, number 1, waits for nothing.

        >>> [RecoveryPolicy(backoff=5, max_backoff=15).wait_before(n) for n in (1, 2, 3, 4)]
        [0.0, 5.0, 10.0, 15.0]
        """
        if attempt <= 1:
            return 0.0
        # The exponent is bounded, since a float cannot hold 2 to the power of just any attempt.
        return float(min(self.backoff * 2.0 ** min(attempt - 2, 60), self.max_backoff))
