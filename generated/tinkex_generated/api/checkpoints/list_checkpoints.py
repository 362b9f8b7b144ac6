# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""List the checkpoints of a run.

All at once: there is no cursor.

GET /api/v1/training_runs/{training_run_id}/checkpoints
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.checkpoints_list_response import CheckpointsListResponse
from ...types import Request, segment

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, training_run_id: str) -> Request:
    """Describe the request; nothing is sent.

    Args:
        training_run_id: Id of a training run, which is the model_id. Colons in it are written
            as they are.
    """
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="list_checkpoints",
        method="GET",
        path=f"/api/v1/training_runs/{segment(training_run_id)}/checkpoints",
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> CheckpointsListResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, CheckpointsListResponse.from_dict)


def sync(*, client: Client, training_run_id: str) -> CheckpointsListResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(training_run_id=training_run_id), parse_response, (200,))
