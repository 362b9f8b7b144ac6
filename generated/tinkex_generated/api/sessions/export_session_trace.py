# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Export a trace of a session.

The first request starts the export; ask again every 5 s until it is ready.

GET /api/v1/sessions/{session_id}/trace_export
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.session_trace_export_poll_response import SessionTraceExportPollResponse
from ...types import Request, segment

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, session_id: str) -> Request:
    """Describe the request; nothing is sent.

    Args:
        session_id: Id of a session.
    """
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="export_session_trace",
        method="GET",
        path=f"/api/v1/sessions/{segment(session_id)}/trace_export",
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> SessionTraceExportPollResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, SessionTraceExportPollResponse.from_dict)


def sync(*, client: Client, session_id: str) -> SessionTraceExportPollResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(session_id=session_id), parse_response, (200,))
