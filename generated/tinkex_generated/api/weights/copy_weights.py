# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Copy a checkpoint.

Answers at once. The credential of the source's account goes into the header
X-Tinker-Weights-Access-Token.

POST /api/v1/copy_weights
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.copy_weights_request import CopyWeightsRequest
from ...models.copy_weights_response import CopyWeightsResponse
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(
    *, body: CopyWeightsRequest, x_tinker_weights_access_token: str | None = None
) -> Request:
    """Describe the request; nothing is sent.

    Args:
        x_tinker_weights_access_token: Credential of the account that owns the source, where it
            is another's.
    """
    headers: dict[str, str] = {"accept": "application/json"}
    if x_tinker_weights_access_token is not None:
        headers["X-Tinker-Weights-Access-Token"] = str(x_tinker_weights_access_token)
    return Request(
        operation="copy_weights",
        method="POST",
        path="/api/v1/copy_weights",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> CopyWeightsResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, CopyWeightsResponse.from_dict)


def sync(
    *, client: Client, body: CopyWeightsRequest, x_tinker_weights_access_token: str | None = None
) -> CopyWeightsResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(
        build_request(body=body, x_tinker_weights_access_token=x_tinker_weights_access_token),
        parse_response,
        (200,),
    )
