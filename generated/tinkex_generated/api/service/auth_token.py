# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Exchange the credential for a short-lived token.

Only where client_config says `pjwt_auth_enabled`. The credential is in X-API-Key; the token
takes its place in all further requests.

POST /api/v1/auth/token
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...decode import parse_json
from ...models.auth_token_response import AuthTokenResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: dict[str, Any]) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="auth_token",
        method="POST",
        path="/api/v1/auth/token",
        headers=headers,
        body=body,
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> AuthTokenResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, AuthTokenResponse.from_dict)


def sync(*, client: Client, body: dict[str, Any]) -> AuthTokenResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200,))
