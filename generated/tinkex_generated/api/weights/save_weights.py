# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Save a training checkpoint.

Weights and optimizer state, to resume from. A name that is taken is refused unless `overwrite`
is set: with 409, or with 400 and the `code` `conflict` (the local server does that, because the
official client retries a 409 for five minutes).

The answer is a promise; its result, from retrieve_future, is a SaveWeightsResponse.

POST /api/v1/save_weights
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.save_weights_request import SaveWeightsRequest
from ...models.untyped_api_future import UntypedAPIFuture
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: SaveWeightsRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="save_weights",
        method="POST",
        path="/api/v1/save_weights",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> UntypedAPIFuture:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, UntypedAPIFuture.from_dict)


def sync(*, client: Client, body: SaveWeightsRequest) -> UntypedAPIFuture:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200, 202))
