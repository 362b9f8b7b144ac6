# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Number a copy of a sampling client.

A copied sampling client (unpickled in another process, say) gets a number of its own, and so a
range of seq_ids that no other copy uses.

POST /api/v1/join_sampling_session
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.join_sampling_session_request import JoinSamplingSessionRequest
from ...models.join_sampling_session_response import JoinSamplingSessionResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: JoinSamplingSessionRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="join_sampling_session",
        method="POST",
        path="/api/v1/join_sampling_session",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> JoinSamplingSessionResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, JoinSamplingSessionResponse.from_dict)


def sync(*, client: Client, body: JoinSamplingSessionRequest) -> JoinSamplingSessionResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200,))
