"""Checkpoints as JSON and as rows; several commands show them."""

from typing import TYPE_CHECKING, Any

from tinkex.cli.text import ago, iso, size, yes_no

if TYPE_CHECKING:
    from tinkex.types import Checkpoint

CHECKPOINT_HEADERS = ("Checkpoint ID", "Type", "Size", "Public", "Created", "Expires", "Path")


def checkpoint_record(checkpoint: "Checkpoint | None") -> dict[str, Any] | None:
    """Return a checkpoint as JSON has it."""
    if checkpoint is None:
        return None
    return {
        "checkpoint_id": checkpoint.checkpoint_id,
        "checkpoint_type": checkpoint.checkpoint_type,
        "tinker_path": checkpoint.tinker_path,
        "size_bytes": checkpoint.size_bytes,
        "public": checkpoint.public,
        "time": iso(checkpoint.time),
        "expires_at": iso(checkpoint.expires_at),
        "user_metadata": dict(checkpoint.user_metadata or {}),
    }


def checkpoint_row(checkpoint: "Checkpoint") -> tuple[str, ...]:
    """Return a checkpoint's cells below `CHECKPOINT_HEADERS`."""
    return (
        checkpoint.checkpoint_id,
        checkpoint.checkpoint_type,
        size(checkpoint.size_bytes),
        yes_no(checkpoint.public),
        ago(checkpoint.time),
        ago(checkpoint.expires_at, none="Never"),
        checkpoint.tinker_path,
    )
