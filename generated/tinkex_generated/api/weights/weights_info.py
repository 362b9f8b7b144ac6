# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Describe a checkpoint.

What is needed to make a model that the checkpoint fits.

POST /api/v1/weights_info
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.weights_info_request import WeightsInfoRequest
from ...models.weights_info_response import WeightsInfoResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: WeightsInfoRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="weights_info",
        method="POST",
        path="/api/v1/weights_info",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> WeightsInfoResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, WeightsInfoResponse.from_dict)


def sync(*, client: Client, body: WeightsInfoRequest) -> WeightsInfoResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200,))
