# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Run a forward pass.

Computes the loss and the log-probabilities; gradients are left alone.

The answer is a promise; its result, from retrieve_future, is a ForwardBackwardOutput.

POST /api/v1/forward
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.forward_request import ForwardRequest
from ...models.untyped_api_future import UntypedAPIFuture
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: ForwardRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="forward",
        method="POST",
        path="/api/v1/forward",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> UntypedAPIFuture:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, UntypedAPIFuture.from_dict)


def sync(*, client: Client, body: ForwardRequest) -> UntypedAPIFuture:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200, 202))
