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
from ...types import Request, Response

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync", "sync_detailed")


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


def sync_detailed(
    *, client: Client, body: SessionHeartbeatRequest
) -> Response[SessionHeartbeatResponse]:
    """Send the request once; raises UnexpectedStatus unless the status is a documented success."""
    return client.exchange(build_request(body=body), parse_response, (200,))


def sync(*, client: Client, body: SessionHeartbeatRequest) -> SessionHeartbeatResponse:
    """Send the request once and return the parsed response; raises the errors of sync_detailed."""
    return sync_detailed(client=client, body=body).parsed
