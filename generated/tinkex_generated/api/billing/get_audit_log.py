# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Read the audit log.

For administrators of an organisation. The answer may be a redirect to a signed URL whose body
is the JSON; fetch that without credentials.

GET /api/v1/audit
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.audit_event_type import AuditEventType
from ...models.audit_log_response import AuditLogResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(
    *, event_type: AuditEventType | None = "all", day: datetime.date | None = None
) -> Request:
    """Describe the request; nothing is sent.

    Args:
        event_type: Which audit events to list.
        day: The day, midnight to midnight UTC. Left out: today.
    """
    params: dict[str, str | int | float | bool] = {}
    if event_type is not None:
        params["event_type"] = event_type
    if day is not None:
        params["day"] = day.isoformat()
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="get_audit_log",
        method="GET",
        path="/api/v1/audit",
        params=params,
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> AuditLogResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, AuditLogResponse.from_dict)


def sync(
    *, client: Client, event_type: AuditEventType | None = "all", day: datetime.date | None = None
) -> AuditLogResponse | None:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(
        build_request(event_type=event_type, day=day), parse_response, (200,), (302,)
    )
