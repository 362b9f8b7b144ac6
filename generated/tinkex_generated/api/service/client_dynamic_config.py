# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Fetch settings that may change.

Asked at the start and from time to time. After 404, the defaults hold.

POST /api/v1/client/dynamic_config
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.client_config_request import ClientConfigRequest
from ...models.client_dynamic_config_response import ClientDynamicConfigResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: ClientConfigRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="client_dynamic_config",
        method="POST",
        path="/api/v1/client/dynamic_config",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> ClientDynamicConfigResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, ClientDynamicConfigResponse.from_dict)


def sync(*, client: Client, body: ClientConfigRequest) -> ClientDynamicConfigResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200,))
