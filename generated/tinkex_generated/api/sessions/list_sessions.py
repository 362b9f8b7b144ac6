# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""List sessions.

Ids only, newest first.

GET /api/v1/sessions
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.access_scope import AccessScope
from ...models.list_sessions_response import ListSessionsResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(
    *, limit: int | None = 20, offset: int | None = 0, access_scope: AccessScope | None = "owned"
) -> Request:
    """Describe the request; nothing is sent.

    Args:
        limit: Most entries to answer.
        offset: Entries to leave out before them.
        access_scope: `owned`: only what the caller owns.
    """
    params: dict[str, str | int | float | bool] = {}
    if limit is not None:
        params["limit"] = limit
    if offset is not None:
        params["offset"] = offset
    if access_scope is not None:
        params["access_scope"] = access_scope
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="list_sessions",
        method="GET",
        path="/api/v1/sessions",
        params=params,
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> ListSessionsResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, ListSessionsResponse.from_dict)


def sync(
    *,
    client: Client,
    limit: int | None = 20,
    offset: int | None = 0,
    access_scope: AccessScope | None = "owned",
) -> ListSessionsResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(
        build_request(limit=limit, offset=offset, access_scope=access_scope), parse_response, (200,)
    )
