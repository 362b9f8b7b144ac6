# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Download a trace of the local server.

The signed URL that the local server's export_session_trace answers with. It takes no
credential: anyone who has the URL may fetch it until it expires.

GET /api/v1/sessions/{session_id}/trace_export/download
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...decode import mapping, parse_json
from ...types import Request, segment

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, session_id: str, expires: int, signature: str) -> Request:
    """Describe the request; nothing is sent.

    Args:
        session_id: Id of a session.
        expires: Until when the URL is good, in seconds since 1970.
        signature: Signature over path and expiry.
    """
    params: dict[str, str | int | float | bool] = {}
    params["expires"] = expires
    params["signature"] = signature
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="download_session_trace",
        method="GET",
        path=f"/api/v1/sessions/{segment(session_id)}/trace_export/download",
        params=params,
        headers=headers,
        secured=False,
    )


def parse_response(content: bytes) -> dict[str, Any]:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, mapping)


def sync(*, client: Client, session_id: str, expires: int, signature: str) -> dict[str, Any]:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(
        build_request(session_id=session_id, expires=expires, signature=signature),
        parse_response,
        (200,),
    )
