# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Read what is stored now.

For administrators.

GET /api/v1/billing/usage/checkpoints/current
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.current_checkpoint_storage_usage_response import (
    CurrentCheckpointStorageUsageResponse,
)
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, project_id: str | None = None) -> Request:
    """Describe the request; nothing is sent.

    Args:
        project_id: Only those of this project.
    """
    params: dict[str, str | int | float | bool] = {}
    if project_id is not None:
        params["project_id"] = project_id
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="get_checkpoint_storage_usage",
        method="GET",
        path="/api/v1/billing/usage/checkpoints/current",
        params=params,
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> CurrentCheckpointStorageUsageResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, CurrentCheckpointStorageUsageResponse.from_dict)


def sync(*, client: Client, project_id: str | None = None) -> CurrentCheckpointStorageUsageResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(project_id=project_id), parse_response, (200,))
