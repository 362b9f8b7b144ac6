# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""List training runs.

Newest first.

GET /api/v1/training_runs
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.access_scope import AccessScope
from ...models.training_runs_response import TrainingRunsResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(
    *,
    limit: int | None = 20,
    offset: int | None = 0,
    access_scope: AccessScope | None = "owned",
    project_id: str | None = None,
) -> Request:
    """Describe the request; nothing is sent.

    Args:
        limit: Most entries to answer.
        offset: Entries to leave out before them.
        access_scope: `owned`: only what the caller owns.
        project_id: Only those of this project.
    """
    params: dict[str, str | int | float | bool] = {}
    if limit is not None:
        params["limit"] = limit
    if offset is not None:
        params["offset"] = offset
    if access_scope is not None:
        params["access_scope"] = access_scope
    if project_id is not None:
        params["project_id"] = project_id
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="list_training_runs",
        method="GET",
        path="/api/v1/training_runs",
        params=params,
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> TrainingRunsResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, TrainingRunsResponse.from_dict)


def sync(
    *,
    client: Client,
    limit: int | None = 20,
    offset: int | None = 0,
    access_scope: AccessScope | None = "owned",
    project_id: str | None = None,
) -> TrainingRunsResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(
        build_request(limit=limit, offset=offset, access_scope=access_scope, project_id=project_id),
        parse_response,
        (200,),
    )
