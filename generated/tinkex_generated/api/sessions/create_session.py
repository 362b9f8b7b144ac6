# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Open a session.

The frame of one client's work; models and sampling sessions belong to one. It stays open while
heartbeats come (every 10 s is usual) and for some minutes after the last.

POST /api/v1/create_session
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.create_session_request import CreateSessionRequest
from ...models.create_session_response import CreateSessionResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: CreateSessionRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="create_session",
        method="POST",
        path="/api/v1/create_session",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> CreateSessionResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, CreateSessionResponse.from_dict)


def sync(*, client: Client, body: CreateSessionRequest) -> CreateSessionResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200, 201))
