"""Start of a resumable run, from scratch or from the newest checkpoint that is left."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tinkex._core.model_creation import comparison
from tinkex.errors import CheckpointError, NotFoundError, ValidationError
from tinkex.recovery.restore import restore
from tinkex.recovery.runfile import RunCheckpoint, RunRecord

if TYPE_CHECKING:
    from pathlib import Path

    from tinkex.service import ServiceClient
    from tinkex.training import TrainingClient

log = logging.getLogger("tinkex.recovery")


def start_or_resume(
    service: ServiceClient, record: RunRecord, user_metadata: Mapping[str, str] | None, where: Path
) -> tuple[TrainingClient, RunCheckpoint | None]:
    """Return a client in the state of a run's record, and the checkpoint it was restored from.

    Without checkpoints, the run starts.

    Raises:
        CheckpointError: The record names checkpoints, but the server has none of them.
        TinkexError: The server refuses, or is unreachable.
    """
    if not record.checkpoints:
        return _begin(service, record.settings, user_metadata), None
    for checkpoint in reversed(record.checkpoints):
        try:
            return restore(service, checkpoint.path, user_metadata=user_metadata), checkpoint
        except NotFoundError as error:
            log.warning("checkpoint %s cannot be restored: %s", checkpoint.path, error)
    newest = record.checkpoints[-1]
    expired = (
        f"; it was kept until {newest.expires_at:%Y-%m-%d %H:%M} UTC" if newest.expires_at else ""
    )
    raise CheckpointError(
        f"{record.server or 'the server'} has none of the checkpoints in {where} any more. The newest "
        f"was {newest.path}, after {newest.step} steps{expired}. Start over in another folder (a "
        "longer ttl keeps checkpoints longer), or check that this is the server of the run"
    )


def check_same(kept: Mapping[str, Any], asked: Mapping[str, Any], where: Path) -> None:
    """Refuse to resume a run with other settings than its own.

    Raises:
        ValidationError: The settings differ; the message has a table. A base model or a seed that is
            not requested matches any value.
    """
    optional = {"base_model", "seed"}
    differing = [
        (name, repr(value), repr(kept.get(name)))
        for name, value in asked.items()
        if value != kept.get(name) and not (name in optional and value is None)
    ]
    if not differing:
        return
    table = comparison(("setting", "requested", "the run has"), *differing)
    raise ValidationError(
        f"{where} has a run with other settings:\n{table}\nUse the run's settings to resume "
        "it, or another folder for another run",
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
