# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Export weights as files.

To be downloaded through get_external_weights_urls.

The answer is a promise; its result, from retrieve_future, is a
SaveWeightsExternalResponseInternal.

POST /api/v1/save_weights_external
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.save_weights_external_request import SaveWeightsExternalRequest
from ...models.untyped_api_future import UntypedAPIFuture
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: SaveWeightsExternalRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="save_weights_external",
        method="POST",
        path="/api/v1/save_weights_external",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> UntypedAPIFuture:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, UntypedAPIFuture.from_dict)


def sync(*, client: Client, body: SaveWeightsExternalRequest) -> UntypedAPIFuture:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200,))
