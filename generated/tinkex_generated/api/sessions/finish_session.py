# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Close a session.

Sent when the user closes the client. Models are unloaded; checkpoints stay.

POST /api/v1/sessions/{session_id}/finish
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...models.finish_session_request import FinishSessionRequest
from ...types import Request, segment

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: FinishSessionRequest, session_id: str) -> Request:
    """Describe the request; nothing is sent.

    Args:
        session_id: Id of a session.
    """
    headers: dict[str, str] = {}
    return Request(
        operation="finish_session",
        method="POST",
        path=f"/api/v1/sessions/{segment(session_id)}/finish",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> None:
    """Read the body of a success; raises ParseError for anything else."""
    return None


def sync(*, client: Client, body: FinishSessionRequest, session_id: str) -> None:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(
        build_request(body=body, session_id=session_id), parse_response, (200, 204)
    )
