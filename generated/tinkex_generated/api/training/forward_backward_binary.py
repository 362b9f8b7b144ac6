# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Run a forward and a backward pass (binary form).

The same operation as forward_backward, with a protobuf body: the message
ForwardBackwardRequest of `x-tinkex-protobuf`. On the wire it is the same route, POST
/api/v1/forward_backward, told apart by its Content-Type; it stands under a path of its own
here, with servers of its own, because a path can hold one operation per method. The body may
be compressed: `Content-Encoding: zstd`.

`forward_only` makes it a forward pass. The settings of a loss go into both maps, strings into
the second alone. Chunks of type image_asset_pointer cannot be sent.

The answer is a promise, as JSON; its result comes from retrieve_future or
retrieve_future_binary.

POST /api/v1/forward_backward
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.untyped_api_future import UntypedAPIFuture
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: bytes) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="forward_backward_binary",
        method="POST",
        path="/api/v1/forward_backward",
        headers=headers,
        content=body,
        content_type="application/x-protobuf",
        secured=True,
    )


def parse_response(content: bytes) -> UntypedAPIFuture:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, UntypedAPIFuture.from_dict)


def sync(*, client: Client, body: bytes) -> UntypedAPIFuture:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200, 202))
