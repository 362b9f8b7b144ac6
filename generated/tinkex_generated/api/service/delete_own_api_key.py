# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Delete the key presented.

Deletes exactly the key in X-API-Key; it is refused from then on.

DELETE /api/v1/auth/apikey/me
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...types import Request, Response

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync", "sync_detailed")


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


def sync_detailed(*, client: Client) -> Response[None]:
    """Send the request once; raises UnexpectedStatus unless the status is a documented success."""
    return client.exchange(build_request(), parse_response, (200, 204))


def sync(*, client: Client) -> None:
    """Send the request once and return the parsed response; raises the errors of sync_detailed."""
    return sync_detailed(client=client).parsed
