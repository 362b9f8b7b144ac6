"""Selection of the checkpoint that a lost run is restored from."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from tinkex.errors import CheckpointError
from tinkex.recovery.policy import BEST, LATEST, RecoveryPolicy
from tinkex.types import Checkpoint, TrainingRun

if TYPE_CHECKING:
    from tinkex.rest import RestClient


def selected(
    policy: RecoveryPolicy,
    run_id: str,
    rest: RestClient,
    run: TrainingRun | None = None,
    last_checkpoint: str | None = None,
) -> str:
    """Return the path of the checkpoint that a policy selects.

    Args:
        policy: The recovery policy.
        run_id: The lost run.
        rest: The client that fetches the run and its checkpoints, as needed.
        run: The server's description of the run, if just fetched.
        last_checkpoint: Path of the last checkpoint, if known.

    Raises:
        CheckpointError: There is no such checkpoint.
        TinkexError: The server refuses, or is unreachable.
    """
    if policy.checkpoint == BEST:
        return _best(policy, run_id, rest.list_checkpoints(run_id).checkpoints)
    if policy.checkpoint != LATEST:
        return policy.checkpoint
    if last_checkpoint is not None:
        return last_checkpoint
    found = run or rest.get_training_run(run_id)
    if found.last_checkpoint is None:
        raise CheckpointError(
            f"run {run_id} has no training checkpoint to restore; save one with save_state from time "
            "to time"
        )
    return found.last_checkpoint.tinker_path


def _best(policy: RecoveryPolicy, run_id: str, checkpoints: list[Checkpoint]) -> str:
    assert policy.metric is not None  # noqa: S101 - checked by the policy
    scored = [
        (score, checkpoint.tinker_path)
        for checkpoint in checkpoints
        if checkpoint.checkpoint_type == "training"
        and (score := _number(checkpoint, policy.metric)) is not None
    ]
    if not scored:
        raise CheckpointError(
            f"no training checkpoint of run {run_id} has a number {policy.metric!r}; record it with "
            f"save_state(name, user_metadata={{{policy.metric!r}: '1.25'}})"
        )
    # Of equal ones the first wins, and the server lists the newest first.
    choose = min if policy.mode == "min" else max
    return choose(scored, key=lambda entry: entry[0])[1]


def _number(checkpoint: Checkpoint, metric: str) -> float | None:
    try:
        value = float((checkpoint.user_metadata or {})[metric])
    except (KeyError, ValueError):
        return None
    return value if math.isfinite(value) else None
