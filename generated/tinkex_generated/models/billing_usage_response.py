# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, date_time, dict_of, list_of, mapping, optional, required
from ..record import Record
from ..types import date_time_text
from .billing_session import BillingSession
from .billing_usage_event import BillingUsageEvent


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BillingUsageResponse(Record):
    """Usage in a window of time.

    Attributes:
        data: By span of time, then by falling token count.
        sessions: The sessions named. Missing: none.
        cost_data_through: Up to when costs are known.
    """

    data: list[BillingUsageEvent]
    sessions: dict[str, BillingSession] | None = None
    cost_data_through: datetime.datetime | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"data": [item.to_dict() for item in self.data]}
        if self.sessions is not None:
            result["sessions"] = {key: item.to_dict() for key, item in self.sessions.items()}
        if self.cost_data_through is not None:
            result["cost_data_through"] = date_time_text(self.cost_data_through)
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            data=required(data, "data", _READ_DATA),
            sessions=optional(data, "sessions", _READ_SESSIONS),
            cost_data_through=optional(data, "cost_data_through", date_time),
        )


_READ_DATA: Reader[list[BillingUsageEvent]] = list_of(BillingUsageEvent.from_dict)
_READ_SESSIONS: Reader[dict[str, BillingSession]] = dict_of(BillingSession.from_dict)
