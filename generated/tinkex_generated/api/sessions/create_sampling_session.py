# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Open a sampling session.

Fixes what to sample from: a base model or a checkpoint. 425 while the checkpoint is still being
written.

POST /api/v1/create_sampling_session
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.create_sampling_session_request import CreateSamplingSessionRequest
from ...models.create_sampling_session_response import CreateSamplingSessionResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: CreateSamplingSessionRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="create_sampling_session",
        method="POST",
        path="/api/v1/create_sampling_session",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> CreateSamplingSessionResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, CreateSamplingSessionResponse.from_dict)


def sync(*, client: Client, body: CreateSamplingSessionRequest) -> CreateSamplingSessionResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200, 201))
