# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Publish a checkpoint.

Lets everybody read it. The request has no body; an empty object is accepted. 409 (or 400 with
the `code` `conflict`) if it is public already, 404 for anyone but its owner.

POST /api/v1/training_runs/{training_run_id}/checkpoints/{checkpoint_kind}/{checkpoint_name}/publish
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...models.checkpoint_kind import CheckpointKind
from ...types import Request, segment

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(
    *, training_run_id: str, checkpoint_kind: CheckpointKind, checkpoint_name: str
) -> Request:
    """Describe the request; nothing is sent.

    Args:
        training_run_id: Id of a training run, which is the model_id. Colons in it are written
            as they are.
        checkpoint_kind: The same distinction as it is written in paths: `weights` for training,
            `sampler_weights` for sampler, `external_weights` for external checkpoints.
        checkpoint_name: Name of the checkpoint.
    """
    headers: dict[str, str] = {}
    return Request(
        operation="publish_checkpoint",
        method="POST",
        path=f"/api/v1/training_runs/{segment(training_run_id)}/checkpoints/{segment(checkpoint_kind)}/{segment(checkpoint_name)}/publish",
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> None:
    """Read the body of a success; raises ParseError for anything else."""
    return None


def sync(
    *, client: Client, training_run_id: str, checkpoint_kind: CheckpointKind, checkpoint_name: str
) -> None:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(
        build_request(
            training_run_id=training_run_id,
            checkpoint_kind=checkpoint_kind,
            checkpoint_name=checkpoint_name,
        ),
        parse_response,
        (200, 204),
    )
