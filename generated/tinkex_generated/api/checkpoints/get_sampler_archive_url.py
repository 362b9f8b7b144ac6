# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Where can weights for sampling be downloaded?

As get_checkpoint_archive_url, for a checkpoint of kind sampler_weights that is known by its
name alone, as in `tinker://<training_run_id>/<name>`. Some servers have archives under this
path only.

GET /api/v1/training_runs/{training_run_id}/checkpoints/{checkpoint_name}/archive
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.checkpoint_archive_url_response import CheckpointArchiveUrlResponse
from ...types import Request, segment

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, training_run_id: str, checkpoint_name: str) -> Request:
    """Describe the request; nothing is sent.

    Args:
        training_run_id: Id of a training run, which is the model_id. Colons in it are written
            as they are.
        checkpoint_name: Name of the checkpoint.
    """
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="get_sampler_archive_url",
        method="GET",
        path=f"/api/v1/training_runs/{segment(training_run_id)}/checkpoints/{segment(checkpoint_name)}/archive",
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> CheckpointArchiveUrlResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, CheckpointArchiveUrlResponse.from_dict)


def sync(
    *, client: Client, training_run_id: str, checkpoint_name: str
) -> CheckpointArchiveUrlResponse | None:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(
        build_request(training_run_id=training_run_id, checkpoint_name=checkpoint_name),
        parse_response,
        (200,),
        (302,),
    )
