# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Sample, token by token.

The same request as asample, answered by server-sent events as the tokens come (send `Accept:
text/event-stream`). The data of each event is the JSON of a SampleStreamChunk. Every sequence
ends with a chunk that has `finish_reason`; the stream ends after the last, or after a chunk
with `error`. The hosted service is not known to have this route.

POST /api/v1/stream_sample
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_text
from ...models.sample_request import SampleRequest
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: SampleRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "text/event-stream"}
    return Request(
        operation="stream_sample",
        method="POST",
        path="/api/v1/stream_sample",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> str:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_text(content)


def sync(*, client: Client, body: SampleRequest) -> str:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200,))
