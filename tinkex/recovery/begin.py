"""The entry point for resumable training loops."""

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
    """Return a run for a training loop, which resumes it after a crash.

    >>> with resumable("runs/mine", service, base_model="tinkex/nano", checkpoint_every=10) as run:
    ...     for step in run.steps(25):
    ...         with step:
    ...             batch = [data[i] for i in step.rng.integers(len(data), size=8)]
    ...             gradients, update = run.training.train_step(batch, "cross_entropy")

    Every `checkpoint_every` steps, and after the last one, weights and optimizer state are saved on the
    server, and the checkpoint's path, the number of steps and `ResumableRun.state` in a small file in
    `folder`. The same program, started again, resumes from the newest checkpoint, with its step,
    optimizer and state. A model that is lost while the program runs (the server was restarted, the
    session ended, a job failed on the server) is restored in the same way: the loop continues at an
    earlier step, if each step's work is inside its ``with`` block. If the server is full or unreachable
    for a while, nothing is rolled back: the same call is repeated, as often as the policy allows.

    Steps after the last checkpoint are lost with the model, and repeated. No batch is trained twice or
    skipped, as long as a step's batch depends only on the step's number, `Step.rng` and
    `ResumableRun.state`.

    Args:
        folder: Folder of the run's file, created if missing. Use one folder per run.
        service: A client of the server.
        base_model: The model to train. Optional if `start_from` is given.
        rank: Rank of the adapter's matrices.
        seed: Seed of the adapter's initial matrices and of `Step.rng`; None draws one and stores it
            in the run's file.
        train_mlp: Whether to adapt MLP layers.
        train_attn: Whether to adapt attention layers.
        train_unembed: Whether to adapt the unembedding.
        start_from: Path of another run's checkpoint with the initial weights and the adapter's
            settings; the optimizer is new.
        checkpoint_every: Steps between checkpoints; the most that can be lost.
        ttl: Seconds (or a timedelta) after which the server deletes a checkpoint; None keeps it. The
            run can be resumed for as long.
        keep_last: Number of checkpoints to keep; older ones are deleted.
        policy: Limits of the recovery of a lost model: `max_attempts` for a step that fails
            repeatedly, `backoff`, `max_backoff`, and the callbacks. By default five attempts, with
            waits of 1, 2, 4 and 8 seconds.
        user_metadata: Key-value pairs stored with the training runs.
        clock: The clock of the waits; the machine's by default.

    Raises:
        ValidationError: An argument is invalid, or the folder has a run with other settings; the
            message shows the differences. Raised on entering the ``with`` block.
        CheckpointError: Another process trains in the folder; the file cannot be read or written; or
            none of the run's checkpoints is left on the server.
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
        raise ValidationError("must be at least a second, or None to keep checkpoints", path="ttl")
    return timedelta(seconds=found)


def _checked_policy(policy: RecoveryPolicy) -> RecoveryPolicy:
    if policy.checkpoint != LATEST:
        raise ValidationError(
            "a training loop resumes from its latest checkpoint; omit 'checkpoint'",
            path="policy",
        )
    return policy
