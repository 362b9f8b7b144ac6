# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Describe a model.

Answers at once; clients look up the tokenizer by it.

POST /api/v1/get_info
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.get_info_request import GetInfoRequest
from ...models.get_info_response import GetInfoResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: GetInfoRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="get_info",
        method="POST",
        path="/api/v1/get_info",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> GetInfoResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, GetInfoResponse.from_dict)


def sync(*, client: Client, body: GetInfoRequest) -> GetInfoResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200,))
