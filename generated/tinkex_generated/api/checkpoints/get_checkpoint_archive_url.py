# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Where can the checkpoint be downloaded?

The answer is a redirect that is not to be followed blindly: the signed URL in `Location` must
be fetched without credentials. The archive is a tar file, plain or gzipped, with
`adapter_config.json`, `adapter_model.safetensors` and the marker `checkpoint_complete` at its
top. 503 while it is being put together: ask again after Retry-After, or 30 s.

GET /api/v1/training_runs/{training_run_id}/checkpoints/{checkpoint_kind}/{checkpoint_name}/archive
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.checkpoint_archive_url_response import CheckpointArchiveUrlResponse
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
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="get_checkpoint_archive_url",
        method="GET",
        path=f"/api/v1/training_runs/{segment(training_run_id)}/checkpoints/{segment(checkpoint_kind)}/{segment(checkpoint_name)}/archive",
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> CheckpointArchiveUrlResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, CheckpointArchiveUrlResponse.from_dict)


def sync(
    *, client: Client, training_run_id: str, checkpoint_kind: CheckpointKind, checkpoint_name: str
) -> CheckpointArchiveUrlResponse | None:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(
        build_request(
            training_run_id=training_run_id,
            checkpoint_kind=checkpoint_kind,
            checkpoint_name=checkpoint_name,
        ),
        parse_response,
        (200,),
        (302,),
    )
