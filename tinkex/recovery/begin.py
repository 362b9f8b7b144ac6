"""What a training program calls to become one that can be taken up again."""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from tinkex._base.clock import SYSTEM_CLOCK, Clock
from tinkex._core.checks import checked_count
from tinkex.errors import ValidationError
from tinkex.recovery.policy import LATEST, RecoveryPolicy, seconds
from tinkex.recovery.run import ResumableRun

if TYPE_CHECKING:
    from tinkex.service import ServiceClient

WEEK = timedelta(days=7)
PATIENT_POLICY = RecoveryPolicy(enabled=True, max_attempts=5, backoff=1.0, max_backoff=60.0)


def resumable(
    folder: str | os.PathLike[str],
    service: ServiceClient,
    *,
    base_model: str | None = None,
    rank: int = 32,
    seed: int | None = None,
    train_mlp: bool = True,
    train_attn: bool = True,
    train_unembed: bool = True,
    start_from: str | None = None,
    checkpoint_every: int = 50,
    ttl: float | timedelta | None = WEEK,
    keep_last: int = 2,
    policy: RecoveryPolicy | None = None,
    user_metadata: Mapping[str, str] | None = None,
    clock: Clock | None = None,
) -> ResumableRun:
    """Return a run that a training loop goes through, and goes on with after a crash.

    >>> with resumable("runs/mine", service, base_model="tinkex/nano", checkpoint_every=10) as run:
    ...     for step in run.steps(25):
    ...         with step:
    ...             batch = [data[i] for i in step.rng.integers(len(data), size=8)]
    ...             gradients, update = run.training.train_step(batch, "cross_entropy")

    Every `checkpoint_every` steps, and after the last one, weights and optimizer are saved on the
    server, and the checkpoint's path, the number of steps and `ResumableRun.state` in a small file
    in `folder`. The same program, started again, goes on after the newest of these checkpoints: with
    the right step, the optimizer and the state as they were. A model that is lost while the program
    runs (the server was restarted, the session has ended, a job failed on the server's side) is
    brought back in the same way, and the loop goes on at an earlier step, if the step's work stands
    in its ``with`` block. For a server that is full or cannot be reached for a while nothing is gone
    back to: the same call is made again, as often as the policy says.

    What was trained after the last checkpoint is gone with the model, and is done again. So no
    batch is trained twice or left out, as long as a step's batch depends on nothing but the step's
    number, `Step.rng` and `ResumableRun.state`.

    Args:
        folder: Where the run's file is kept; made if it is not there. One folder, one run.
        service: The way to the server.
        base_model: What is trained. May be left out if `start_from` is given.
        rank: Rank of the adapter's matrices.
        seed: Fixes the adapter's initial matrices and `Step.rng`; None draws one and keeps it in
            the run's file.
        train_mlp: Whether MLP layers are adapted.
        train_attn: Whether attention layers are adapted.
        train_unembed: Whether the unembedding is adapted.
        start_from: Path of another run's checkpoint, whose weights this run begins with, with a
            fresh optimizer. The adapter is then as it is in the checkpoint.
        checkpoint_every: Steps from one checkpoint to the next; what is lost at most.
        ttl: Seconds (or a timedelta) after which the server deletes a checkpoint; None never. The
            run can be taken up again for as long.
        keep_last: How many checkpoints are kept; older ones are deleted.
        policy: How often and how patiently a lost model is brought back: `max_attempts` for a step
            that fails again and again, `backoff`, `max_backoff`, and the callbacks. None is five
            attempts, after waits of 1, 2, 4 and 8 seconds.
        user_metadata: Key-value pairs stored with the training runs.
        clock: What waits between attempts; None is the machine's.

    Raises:
        ValidationError: An argument cannot be right, or the folder holds a run that was begun with
            other settings; the message shows which. Raised when the ``with`` block begins.
        CheckpointError: Another process trains in the folder; its file cannot be read or written;
            or none of the run's checkpoints is on the server any more.
    """
    settings = {
        "base_model": base_model,
        "rank": rank,
        "seed": seed,
        "train_mlp": train_mlp,
        "train_attn": train_attn,
        "train_unembed": train_unembed,
        "start_from": start_from,
    }
    return ResumableRun(
        Path(folder),
        service,
        settings,
        every=checked_count(checkpoint_every, "checkpoint_every", 1),
        ttl=_checked_ttl(ttl),
        keep_last=checked_count(keep_last, "keep_last", 1),
        policy=_checked_policy(policy or PATIENT_POLICY),
        user_metadata=user_metadata,
        clock=clock or SYSTEM_CLOCK,
    )


def _checked_ttl(ttl: float | timedelta | None) -> timedelta | None:
    if ttl is None:
        return None
    found = seconds(ttl, "ttl")
    if found < 1:
        raise ValidationError("must be at least a second, or None for no end", path="ttl")
    return timedelta(seconds=found)


def _checked_policy(policy: RecoveryPolicy) -> RecoveryPolicy:
    if policy.checkpoint != LATEST:
        raise ValidationError(
            "a training loop goes on from its latest checkpoint; leave 'checkpoint' out",
            path="policy",
        )
    return policy
