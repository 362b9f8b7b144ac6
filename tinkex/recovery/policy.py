"""The recovery policy: which checkpoint to restore, and the limits on attempts."""

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
    """Return a duration in seconds; numbers and timedeltas are accepted."""
    found: Any = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(found, bool) or not isinstance(found, int | float) or not 0 <= found < 1e9:
        raise ValidationError(
            f"must be a number of seconds or a timedelta, 0 or more, not {value!r}", path=path
        )
    return float(found)


@frozen
class Recovered:
    """The result of restoring a lost run.

    Attributes:
        run_id: The lost run.
        training: The client that continues it; its `model_id` is the new run's id.
        checkpoint: The path of the restored checkpoint.
        attempts: The number of attempts.
        optimizer: Whether the optimizer's state was restored as well.
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
    """The policy for restoring a lost run. It is off unless `enabled` is set.

    >>> RecoveryPolicy(enabled=True, checkpoint="best", metric="loss", mode="min").max_attempts
    3

    Durations are in seconds, or timedeltas.

    Attributes:
        enabled: Whether lost runs are restored.
        checkpoint: "latest"; "best" by `metric`; or a ``tinker://`` path.
        metric: For "best": a number that was saved with each checkpoint, by
            ``save_state(name, user_metadata={"loss": "1.25"})`` or by `ResumableRun.record`.
        mode: For "best": whether the smallest ("min") or the largest ("max") is best.
        restore_optimizer: Whether to restore the optimizer's moments and step count, so that
            training continues exactly where the checkpoint was saved.
        max_attempts: Most attempts.
        backoff: Seconds before the second attempt; doubled for each further one.
        max_backoff: Longest wait between two attempts, in seconds.
        poll_interval: Seconds between polls of a `RecoveryMonitor`.
        on_recovery: Called with the old client (or None), the new one, and the checkpoint's path.
        on_failure: Called with the run's id and the last error when recovery is abandoned. Exceptions
            of both callbacks are logged and go no further.

    Raises:
        ValidationError: A field is invalid; the path names it.
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
                    f"must be 'latest', 'best' or a tinker:// path of a training checkpoint: {error}",
                    path="checkpoint",
                ) from None
        if self.checkpoint == BEST and not self.metric:
            raise ValidationError("is required for checkpoint='best'", path="metric")

    @property
    def strategy(self) -> Literal["latest", "best", "specific"]:
        """Return the rule by which the checkpoint is selected."""
        if self.checkpoint == LATEST:
            return "latest"
        return "best" if self.checkpoint == BEST else "specific"

    @classmethod
    def from_mapping(cls, fields: Mapping[str, Any]) -> Self:
        """Return a policy from a mapping, such as a table of a configuration file.

        >>> RecoveryPolicy.from_mapping({"enabled": True, "max_attempts": 5}).max_attempts
        5

        Raises:
            ValidationError: A name is unknown, or a value is invalid.
        """
        known = [entry.name for entry in attrs.fields(cls)]
        unknown = sorted(set(fields) - set(known))
        if unknown:
            raise ValidationError(f"must be one of {', '.join(known)}", path=unknown[0])
        return cls(**fields)

    def wait_before(self, attempt: int) -> float:
        """Return the seconds to wait before an attempt; 0 for the first one, number 1.

        >>> [RecoveryPolicy(backoff=5, max_backoff=15).wait_before(n) for n in (1, 2, 3, 4)]
        [0.0, 5.0, 10.0, 15.0]
        """
        if attempt <= 1:
            return 0.0
        # The exponent is bounded, to avoid a float overflow.
        return float(min(self.backoff * 2.0 ** min(attempt - 2, 60), self.max_backoff))
