# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Send events of a client.

A client may lose events, and a server may forget them.

POST /api/v1/telemetry
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.telemetry_response import TelemetryResponse
from ...models.telemetry_send_request import TelemetrySendRequest
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: TelemetrySendRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="send_telemetry",
        method="POST",
        path="/api/v1/telemetry",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> TelemetryResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, TelemetryResponse.from_dict)


def sync(*, client: Client, body: TelemetrySendRequest) -> TelemetryResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200,))
