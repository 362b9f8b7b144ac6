# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

import datetime
from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, date_time, mapping, number, optional, required, string, tagged
from ..record import Record
from ..types import date_time_text
from .checkpoint_usage import CheckpointUsage
from .sampling_prefill_usage import SamplingPrefillUsage
from .sampling_sample_usage import SamplingSampleUsage
from .storage_usage import StorageUsage
from .training_usage import TrainingUsage


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BillingUsageEvent(Record):
    """Usage of one kind in one span of time.

    Attributes:
        bucket_start: Start of the span.
        bucket_end: Its end.
        event_info: What was used.
        base_model: The base model.
        user_id: The user.
        user_name: The user's name.
        session_id: The session.
        project_id: The project.
        estimated_cost_usd: Estimated cost in US dollars.
        effective_rate_usd_per_million_tokens: Price per million tokens, as it came out in the
            end.
        effective_rate_usd_per_gigabyte_month: Price of a gigabyte for a month.
    """

    bucket_start: datetime.datetime
    bucket_end: datetime.datetime
    event_info: (
        TrainingUsage | SamplingPrefillUsage | SamplingSampleUsage | CheckpointUsage | StorageUsage
    )
    base_model: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    session_id: str | None = None
    project_id: str | None = None
    estimated_cost_usd: float | None = None
    effective_rate_usd_per_million_tokens: float | None = None
    effective_rate_usd_per_gigabyte_month: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "bucket_start": date_time_text(self.bucket_start),
            "bucket_end": date_time_text(self.bucket_end),
            "event_info": self.event_info.to_dict(),
        }
        if self.base_model is not None:
            result["base_model"] = self.base_model
        if self.user_id is not None:
            result["user_id"] = self.user_id
        if self.user_name is not None:
            result["user_name"] = self.user_name
        if self.session_id is not None:
            result["session_id"] = self.session_id
        if self.project_id is not None:
            result["project_id"] = self.project_id
        if self.estimated_cost_usd is not None:
            result["estimated_cost_usd"] = self.estimated_cost_usd
        if self.effective_rate_usd_per_million_tokens is not None:
            result["effective_rate_usd_per_million_tokens"] = (
                self.effective_rate_usd_per_million_tokens
            )
        if self.effective_rate_usd_per_gigabyte_month is not None:
            result["effective_rate_usd_per_gigabyte_month"] = (
                self.effective_rate_usd_per_gigabyte_month
            )
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            bucket_start=required(data, "bucket_start", date_time),
            bucket_end=required(data, "bucket_end", date_time),
            event_info=required(data, "event_info", _READ_EVENT_INFO),
            base_model=optional(data, "base_model", string),
            user_id=optional(data, "user_id", string),
            user_name=optional(data, "user_name", string),
            session_id=optional(data, "session_id", string),
            project_id=optional(data, "project_id", string),
            estimated_cost_usd=optional(data, "estimated_cost_usd", number),
            effective_rate_usd_per_million_tokens=optional(
                data, "effective_rate_usd_per_million_tokens", number
            ),
            effective_rate_usd_per_gigabyte_month=optional(
                data, "effective_rate_usd_per_gigabyte_month", number
            ),
        )


_READ_EVENT_INFO: Reader[
    TrainingUsage | SamplingPrefillUsage | SamplingSampleUsage | CheckpointUsage | StorageUsage
] = tagged(
    "type",
    {
        "training": TrainingUsage.from_dict,
        "sampling_prefill": SamplingPrefillUsage.from_dict,
        "sampling_sample": SamplingSampleUsage.from_dict,
        "checkpoint": CheckpointUsage.from_dict,
        "storage": StorageUsage.from_dict,
    },
)
