# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Run a forward and a backward pass.

Computes the loss and adds its gradients to those that the model holds; optim_step applies
them.

Servers that speak the binary form alone (see forward_backward_binary) answer 415.

The answer is a promise; its result, from retrieve_future, is a ForwardBackwardOutput.

POST /api/v1/forward_backward
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.forward_backward_request import ForwardBackwardRequest
from ...models.untyped_api_future import UntypedAPIFuture
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: ForwardBackwardRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="forward_backward",
        method="POST",
        path="/api/v1/forward_backward",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> UntypedAPIFuture:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, UntypedAPIFuture.from_dict)


def sync(*, client: Client, body: ForwardBackwardRequest) -> UntypedAPIFuture:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200, 202))
