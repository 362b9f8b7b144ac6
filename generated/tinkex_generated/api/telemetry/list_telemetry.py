# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Read the events of clients.

What send_telemetry took in, newest first. A route of the local server; others answer 404 or
405.

GET /api/v1/telemetry
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.event_type import EventType
from ...models.severity import Severity
from ...models.telemetry_list_response import TelemetryListResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(
    *,
    session_id: str | None = None,
    event: EventType | None = None,
    severity: Severity | None = None,
    limit: int | None = 100,
    offset: int | None = 0,
) -> Request:
    """Describe the request; nothing is sent.

    Args:
        session_id: Only those of this session.
        event: Kind of telemetry event.
        severity: Severity of a telemetry event.
        limit: Most entries to answer.
        offset: Entries to leave out before them.
    """
    params: dict[str, str | int | float | bool] = {}
    if session_id is not None:
        params["session_id"] = session_id
    if event is not None:
        params["event"] = event
    if severity is not None:
        params["severity"] = severity
    if limit is not None:
        params["limit"] = limit
    if offset is not None:
        params["offset"] = offset
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="list_telemetry",
        method="GET",
        path="/api/v1/telemetry",
        params=params,
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> TelemetryListResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, TelemetryListResponse.from_dict)


def sync(
    *,
    client: Client,
    session_id: str | None = None,
    event: EventType | None = None,
    severity: Severity | None = None,
    limit: int | None = 100,
    offset: int | None = 0,
) -> TelemetryListResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(
        build_request(
            session_id=session_id, event=event, severity=severity, limit=limit, offset=offset
        ),
        parse_response,
        (200,),
    )
