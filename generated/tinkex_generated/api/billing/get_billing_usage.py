# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Read what was used.

For administrators. The window is at most 14 days, its bounds are full hours UTC, and it does
not start in the future.

GET /api/v1/billing/usage/events
"""

from __future__ import annotations

import datetime
from typing import TYPE_CHECKING

from ...decode import parse_json
from ...models.billing_usage_response import BillingUsageResponse
from ...types import Request, date_time_text

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, starting_on: datetime.datetime, ending_before: datetime.datetime) -> Request:
    """Describe the request; nothing is sent.

    Args:
        starting_on: Start of the window, inclusive.
        ending_before: End of the window, exclusive.
    """
    params: dict[str, str | int | float | bool] = {}
    params["starting_on"] = date_time_text(starting_on)
    params["ending_before"] = date_time_text(ending_before)
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="get_billing_usage",
        method="GET",
        path="/api/v1/billing/usage/events",
        params=params,
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> BillingUsageResponse:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, BillingUsageResponse.from_dict)


def sync(
    *, client: Client, starting_on: datetime.datetime, ending_before: datetime.datetime
) -> BillingUsageResponse:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(
        build_request(starting_on=starting_on, ending_before=ending_before), parse_response, (200,)
    )
