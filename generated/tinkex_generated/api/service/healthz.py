# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Is the server up?

Needs no credential.

GET /api/v1/healthz
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.health_response import HealthResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request() -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="healthz", method="GET", path="/api/v1/healthz", headers=headers, secured=False
    )


def parse_response(content: bytes) -> HealthResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, HealthResponse.from_dict)


def sync(*, client: Client) -> HealthResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(), parse_response, (200,))
