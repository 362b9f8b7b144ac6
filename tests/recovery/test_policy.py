"""A policy refuses what cannot be meant, and spaces attempts."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from tinkex import errors
from tinkex.recovery import RecoveryPolicy


def test_a_policy_is_off_unless_it_is_switched_on() -> None:
    """Nobody's run is touched without being asked for."""
    assert not RecoveryPolicy().enabled
    assert RecoveryPolicy().strategy == "latest"


def test_durations_are_seconds_or_timedeltas() -> None:
    """Whichever is given, seconds are what is kept."""
    policy = RecoveryPolicy(backoff=timedelta(seconds=2), poll_interval=1, max_backoff=7.5)  # type: ignore[arg-type]
    assert (policy.backoff, policy.poll_interval, policy.max_backoff) == (2.0, 1.0, 7.5)


def test_waits_double_up_to_the_longest() -> None:
    """The first attempt waits for nothing, and no number of attempts overflows."""
    policy = RecoveryPolicy(backoff=5, max_backoff=60)
    assert [policy.wait_before(n) for n in range(1, 7)] == [0, 5, 10, 20, 40, 60]
    assert policy.wait_before(100_000) == 60


@pytest.mark.parametrize(
    ("fields", "path"),
    [
        ({"enabled": "yes"}, "enabled"),
        ({"max_attempts": 0}, "max_attempts"),
        ({"max_attempts": True}, "max_attempts"),
        ({"backoff": -1}, "backoff"),
        ({"backoff": float("nan")}, "backoff"),
        ({"backoff": 5, "max_backoff": 1}, "max_backoff"),
        ({"poll_interval": 0}, "poll_interval"),
        ({"poll_interval": "30s"}, "poll_interval"),
        ({"checkpoint": "newest"}, "checkpoint"),
        ({"checkpoint": "tinker://r/sampler_weights/a"}, "checkpoint"),
        ({"checkpoint": "best"}, "metric"),
        ({"mode": "biggest"}, "mode"),
        ({"on_recovery": "print"}, "on_recovery"),
        ({"restore_optimizer": 1}, "restore_optimizer"),
        ({"max_atempts": 3}, "max_atempts"),
    ],
)
def test_a_field_that_cannot_be_right_is_named(fields: dict[str, Any], path: str) -> None:
    """Instead of falling back to a default that nobody asked for."""
    with pytest.raises(errors.ValidationError) as caught:
        RecoveryPolicy.from_mapping(fields)
    assert caught.value.path == path


@pytest.mark.parametrize(
    ("checkpoint", "strategy"),
    [("latest", "latest"), ("best", "best"), ("tinker://r/weights/a", "specific")],
)
def test_the_strategy_follows_from_the_checkpoint(checkpoint: str, strategy: str) -> None:
    """A path stands for itself."""
    assert RecoveryPolicy(checkpoint=checkpoint, metric="loss").strategy == strategy
