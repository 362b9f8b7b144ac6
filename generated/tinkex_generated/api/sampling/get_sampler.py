# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Describe a sampling session.

Its base model and checkpoint.

GET /api/v1/samplers/{sampler_id}
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.get_sampler_response import GetSamplerResponse
from ...types import Request, segment

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, sampler_id: str) -> Request:
    """Describe the request; nothing is sent.

    Args:
        sampler_id: Id of a sampling session.
    """
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="get_sampler",
        method="GET",
        path=f"/api/v1/samplers/{segment(sampler_id)}",
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> GetSamplerResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, GetSamplerResponse.from_dict)


def sync(*, client: Client, sampler_id: str) -> GetSamplerResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(sampler_id=sampler_id), parse_response, (200,))
