# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""What does the server offer?

The base models with their limits. The hosted service answers 402 until billing is set up.

GET /api/v1/get_server_capabilities
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.get_server_capabilities_response import GetServerCapabilitiesResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request() -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="get_server_capabilities",
        method="GET",
        path="/api/v1/get_server_capabilities",
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> GetServerCapabilitiesResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, GetServerCapabilitiesResponse.from_dict)


def sync(*, client: Client) -> GetServerCapabilitiesResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(), parse_response, (200,))
