# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Learn which samples are done.

One long poll for all promises of a sampling session, where client_config says
`sample_use_retrieve_futures`. The results themselves come from retrieve_future.

POST /api/v1/retrieve_futures
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.futures_retrieve_request import FuturesRetrieveRequest
from ...models.futures_retrieve_response import FuturesRetrieveResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: FuturesRetrieveRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="retrieve_futures",
        method="POST",
        path="/api/v1/retrieve_futures",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> FuturesRetrieveResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, FuturesRetrieveResponse.from_dict)


def sync(*, client: Client, body: FuturesRetrieveRequest) -> FuturesRetrieveResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200,))
