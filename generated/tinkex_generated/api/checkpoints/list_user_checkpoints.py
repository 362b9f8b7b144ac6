# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""List all checkpoints.

Those of all the caller's runs, newest first, in pages.

GET /api/v1/checkpoints
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.checkpoints_list_response import CheckpointsListResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, limit: int | None = 100, offset: int | None = 0) -> Request:
    """Describe the request; nothing is sent.

    Args:
        limit: Most entries to answer.
        offset: Entries to leave out before them.
    """
    params: dict[str, str | int | float | bool] = {}
    if limit is not None:
        params["limit"] = limit
    if offset is not None:
        params["offset"] = offset
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="list_user_checkpoints",
        method="GET",
        path="/api/v1/checkpoints",
        params=params,
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> CheckpointsListResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, CheckpointsListResponse.from_dict)


def sync(
    *, client: Client, limit: int | None = 100, offset: int | None = 0
) -> CheckpointsListResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(limit=limit, offset=offset), parse_response, (200,))
