# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Download an archive of the local server.

The signed URL that the local server's archive route answers with. It takes no credential:
anyone who has the URL may fetch it until it expires. Understands the headers Range (one range
of bytes), If-Range and If-None-Match.

GET /api/v1/training_runs/{training_run_id}/checkpoints/{checkpoint_kind}/{checkpoint_name}/download
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...models.checkpoint_kind import CheckpointKind
from ...types import Request, segment

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(
    *,
    training_run_id: str,
    checkpoint_kind: CheckpointKind,
    checkpoint_name: str,
    expires: int,
    signature: str,
) -> Request:
    """Describe the request; nothing is sent.

    Args:
        training_run_id: Id of a training run, which is the model_id. Colons in it are written
            as they are.
        checkpoint_kind: The same distinction as it is written in paths: `weights` for training,
            `sampler_weights` for sampler, `external_weights` for external checkpoints.
        checkpoint_name: Name of the checkpoint.
        expires: Until when the URL is good, in seconds since 1970.
        signature: Signature over path and expiry.
    """
    params: dict[str, str | int | float | bool] = {}
    params["expires"] = expires
    params["signature"] = signature
    headers: dict[str, str] = {"accept": "application/octet-stream"}
    return Request(
        operation="download_checkpoint_archive",
        method="GET",
        path=f"/api/v1/training_runs/{segment(training_run_id)}/checkpoints/{segment(checkpoint_kind)}/{segment(checkpoint_name)}/download",
        params=params,
        headers=headers,
        secured=False,
    )


def parse_response(content: bytes) -> bytes:
    """Read the body of a success; raises ParseError for anything else."""
    return content


def sync(
    *,
    client: Client,
    training_run_id: str,
    checkpoint_kind: CheckpointKind,
    checkpoint_name: str,
    expires: int,
    signature: str,
) -> bytes | None:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(
        build_request(
            training_run_id=training_run_id,
            checkpoint_kind=checkpoint_kind,
            checkpoint_name=checkpoint_name,
            expires=expires,
            signature=signature,
        ),
        parse_response,
        (200, 206),
        (304,),
    )
