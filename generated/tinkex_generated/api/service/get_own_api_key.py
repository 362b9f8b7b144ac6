# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Describe the key presented.

Describes the key in X-API-Key.

GET /api/v1/auth/apikey/me
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.self_api_key_response import SelfApiKeyResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request() -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="get_own_api_key",
        method="GET",
        path="/api/v1/auth/apikey/me",
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> SelfApiKeyResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, SelfApiKeyResponse.from_dict)


def sync(*, client: Client) -> SelfApiKeyResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(), parse_response, (200,))
