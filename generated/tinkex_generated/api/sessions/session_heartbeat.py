# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Keep a session open.

Answers 410 when the session is finished; a client then stops.

POST /api/v1/session_heartbeat
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.session_heartbeat_request import SessionHeartbeatRequest
from ...models.session_heartbeat_response import SessionHeartbeatResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: SessionHeartbeatRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="session_heartbeat",
        method="POST",
        path="/api/v1/session_heartbeat",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> SessionHeartbeatResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, SessionHeartbeatResponse.from_dict)


def sync(*, client: Client, body: SessionHeartbeatRequest) -> SessionHeartbeatResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200,))
