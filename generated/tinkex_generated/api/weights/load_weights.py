# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Load a training checkpoint.

Resumes training, in a fresh model or in one that this request creates. 400 if the model has
already taken other requests, 425 while the checkpoint is still being written.

The answer is a promise; its result, from retrieve_future, is a LoadWeightsResponse.

POST /api/v1/load_weights
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.load_weights_request import LoadWeightsRequest
from ...models.untyped_api_future import UntypedAPIFuture
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: LoadWeightsRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="load_weights",
        method="POST",
        path="/api/v1/load_weights",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> UntypedAPIFuture:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, UntypedAPIFuture.from_dict)


def sync(*, client: Client, body: LoadWeightsRequest) -> UntypedAPIFuture:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200, 202))
