"""Begin a resumable run, or go on with it from the newest checkpoint that is still there."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tinkex._core.model_creation import aligned
from tinkex.errors import CheckpointError, NotFoundError, ValidationError
from tinkex.recovery.restore import restore
from tinkex.recovery.runfile import RunCheckpoint, RunRecord

if TYPE_CHECKING:
    from pathlib import Path

    from tinkex.service import ServiceClient
    from tinkex.training import TrainingClient

log = logging.getLogger("tinkex.recovery")


def go_on(
    service: ServiceClient, record: RunRecord, user_metadata: Mapping[str, str] | None, where: Path
) -> tuple[TrainingClient, RunCheckpoint | None]:
    """Return a client that stands where a run's record says, and the checkpoint it was made from.

    Without a checkpoint the run begins.

    Raises:
        CheckpointError: The record names checkpoints, and the server has none of them any more.
        TinkexError: The server refuses, or cannot be reached.
    """
    if not record.checkpoints:
        return _begin(service, record.settings, user_metadata), None
    for checkpoint in reversed(record.checkpoints):
        try:
            return restore(service, checkpoint.path, user_metadata=user_metadata), checkpoint
        except NotFoundError as error:
            log.warning("checkpoint %s cannot be gone back to: %s", checkpoint.path, error)
    newest = record.checkpoints[-1]
    expired = (
        f"; it was kept until {newest.expires_at:%Y-%m-%d %H:%M} UTC" if newest.expires_at else ""
    )
    raise CheckpointError(
        f"{record.server or 'the server'} has none of the checkpoints in {where} any more. The newest "
        f"was {newest.path}, after {newest.step} steps{expired}. Begin again in another folder (a "
        "longer ttl keeps checkpoints longer), or check that this is the server of the run"
    )


def check_same(kept: Mapping[str, Any], asked: Mapping[str, Any], where: Path) -> None:
    """Refuse to go on with a run under settings that it was not begun with.

    Raises:
        ValidationError: With a table of what differs. A base model or a seed that is not asked for
            may be anything.
    """
    optional = {"base_model", "seed"}
    differing = [
        (name, repr(value), repr(kept.get(name)))
        for name, value in asked.items()
        if value != kept.get(name) and not (name in optional and value is None)
    ]
    if not differing:
        return
    table = aligned([("setting", "asked for", "the run has"), *differing])
    raise ValidationError(
        f"{where} holds a run that was begun otherwise:\n{table}\nUse the run's settings to go on "
        "with it, or another folder for another run",
        path=differing[0][0],
    )


def _begin(
    service: ServiceClient, settings: Mapping[str, Any], user_metadata: Mapping[str, str] | None
) -> TrainingClient:
    if settings["start_from"] is not None:
        return restore(
            service, settings["start_from"], optimizer=False, user_metadata=user_metadata
        )
    service.renew_session()
    adapter = {
        name: settings[name]
        for name in ("rank", "seed", "train_mlp", "train_attn", "train_unembed")
    }
    return service.create_lora_training_client(
        settings["base_model"], user_metadata=user_metadata, **adapter
    )
