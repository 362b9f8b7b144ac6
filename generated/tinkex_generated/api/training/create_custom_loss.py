# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Upload a traced loss.

Only where client_config says `custom_loss_server_side`. The loss is then used by
forward_backward as `custom`.

The answer is a promise; its result, from retrieve_future, is a CreateCustomLossResponse.

POST /api/v1/create_custom_loss
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.create_custom_loss_request import CreateCustomLossRequest
from ...models.untyped_api_future import UntypedAPIFuture
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: CreateCustomLossRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="create_custom_loss",
        method="POST",
        path="/api/v1/create_custom_loss",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> UntypedAPIFuture:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, UntypedAPIFuture.from_dict)


def sync(*, client: Client, body: CreateCustomLossRequest) -> UntypedAPIFuture:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200,))
