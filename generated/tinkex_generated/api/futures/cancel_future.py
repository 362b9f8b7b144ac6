# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Give up a sample.

Only for promises of asample, where client_dynamic_config says `sample_cancel_enabled`. One that
is done already stays done.

POST /api/v1/cancel_future
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ...models.future_cancel_request import FutureCancelRequest
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, body: FutureCancelRequest) -> Request:
    """Describe the request; nothing is sent."""
    headers: dict[str, str] = {}
    return Request(
        operation="cancel_future",
        method="POST",
        path="/api/v1/cancel_future",
        headers=headers,
        body=body.to_dict(),
        content_type="application/json",
        secured=True,
    )


def parse_response(content: bytes) -> None:
    """Read the body of a success; raises ParseError for anything else."""
    return None


def sync(*, client: Client, body: FutureCancelRequest) -> None:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(body=body), parse_response, (200, 204))
