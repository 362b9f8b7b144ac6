# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Is the server up?

Needs no credential.

GET /api/v1/healthz
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.health_response import HealthResponse
from ...types import Request, Response

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync", "sync_detailed")


def build_request() -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="healthz", method="GET", path="/api/v1/healthz", headers=headers, secured=False
    )


def parse_response(content: bytes) -> HealthResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, HealthResponse.from_dict)


def sync_detailed(*, client: Client) -> Response[HealthResponse]:
    """Send the request once; raises UnexpectedStatus unless the status is a documented success."""
    return client.exchange(build_request(), parse_response, (200,))


def sync(*, client: Client) -> HealthResponse:
    """Send the request once and return the parsed response; raises the errors of sync_detailed."""
    return sync_detailed(client=client).parsed
