# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Delete the key presented.

Deletes exactly the key in X-API-Key; it is refused from then on.

DELETE /api/v1/auth/apikey/me
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request() -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {}
    return Request(
        operation="delete_own_api_key",
        method="DELETE",
        path="/api/v1/auth/apikey/me",
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> None:
    """Read the body of a success; raises ParseError for anything else."""
    return None


def sync(*, client: Client) -> None:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(), parse_response, (200, 204))
