# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Describe a session.

Its training runs and samplers.

GET /api/v1/sessions/{session_id}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.access_scope import AccessScope
from ...models.get_session_response import GetSessionResponse
from ...types import Request, segment

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, session_id: str, access_scope: AccessScope | None = "owned") -> Request:
    """Describe the request; nothing is sent.

    Args:
        session_id: Id of a session.
        access_scope: `owned`: only what the caller owns.
    """
    params: dict[str, str | int | float | bool] = {}
    if access_scope is not None:
        params["access_scope"] = access_scope
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="get_session",
        method="GET",
        path=f"/api/v1/sessions/{segment(session_id)}",
        params=params,
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> GetSessionResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, GetSessionResponse.from_dict)


def sync(
    *, client: Client, session_id: str, access_scope: AccessScope | None = "owned"
) -> GetSessionResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(
        build_request(session_id=session_id, access_scope=access_scope), parse_response, (200,)
    )
