# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Search sessions.

Experimental.

POST /api/v1/sessions/search
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.session_search_request import SessionSearchRequest
from ...models.session_search_response import SessionSearchResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: SessionSearchRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="search_sessions",
        method="POST",
        path="/api/v1/sessions/search",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> SessionSearchResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, SessionSearchResponse.from_dict)


def sync(*, client: Client, body: SessionSearchRequest) -> SessionSearchResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200,))
