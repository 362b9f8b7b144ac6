# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Fetch the result of a promise (binary form).

The same operation as retrieve_future, with `Accept: application/x-protobuf`: results of
asample, forward and forward_backward then come as protobuf, told by the answer's
Content-Type, as the messages SampleResponse and ForwardBackwardOutput of `x-tinkex-protobuf`.
All other answers are JSON, as there. On the wire it is the same route, POST
/api/v1/retrieve_future; it stands under a path of its own here, with servers of its own,
because a path can hold one operation per method.

Of `loss_fn_output_type`, only what follows the last colon counts. The datums of all records
follow one another. Array i of a BatchedTensor lies between its byte offsets i and i+1;
bfloat16 and int32 are to be widened to float32 and int64.

POST /api/v1/retrieve_future
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...models.future_retrieve_request import FutureRetrieveRequest
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: FutureRetrieveRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/x-protobuf, application/json"}
    return Request(
        operation="retrieve_future_binary",
        method="POST",
        path="/api/v1/retrieve_future",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> bytes:
    """Read the body of a success; raises ParseError for anything else."""
    return content


def sync(*, client: Client, body: FutureRetrieveRequest) -> bytes:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200,))
