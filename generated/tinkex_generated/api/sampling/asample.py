# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Sample.

Generates sequences from a prompt. 429 is no failure here but back-pressure: wait as long as
Retry-After says, then send the same request again, with the same seq_id.

Log-probabilities of a given text come from a request with `prompt_logprobs`, num_samples 1
and max_tokens 1.

The answer is a promise; its result, from retrieve_future, is a SampleResponse.

POST /api/v1/asample
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.sample_request import SampleRequest
from ...models.untyped_api_future import UntypedAPIFuture
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: SampleRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="asample",
        method="POST",
        path="/api/v1/asample",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> UntypedAPIFuture:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, UntypedAPIFuture.from_dict)


def sync(*, client: Client, body: SampleRequest) -> UntypedAPIFuture:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200, 202))
