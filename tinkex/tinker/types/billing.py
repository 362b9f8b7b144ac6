"""Usage and its prices."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field

from tinkex.tinker.types._base import BaseModel, StrictBase


class TrainingBillingEvent(BaseModel):
    """Trained tokens."""

    type: Literal["training"] = "training"
    token_count: int


class SamplingPrefillBillingEvent(BaseModel):
    """Prompt tokens."""

    type: Literal["sampling_prefill"] = "sampling_prefill"
    cached: bool
    token_count: int


class SamplingSampleBillingEvent(BaseModel):
    """Sampled tokens."""

    type: Literal["sampling_sample"] = "sampling_sample"
    token_count: int


class CheckpointBillingEvent(BaseModel):
    """Checkpoints that were made."""

    type: Literal["checkpoint"] = "checkpoint"
    count: int


class StorageBillingEvent(BaseModel):
    """Stored bytes over time."""

    type: Literal["storage"] = "storage"
    free: bool = False
    gigabyte_hours: float


BillingEventInfo = Annotated[
    TrainingBillingEvent
    | SamplingPrefillBillingEvent
    | SamplingSampleBillingEvent
    | CheckpointBillingEvent
    | StorageBillingEvent,
    Field(discriminator="type"),
]


class BillingUsageSession(BaseModel):
    """A session of the usage."""

    user_metadata: dict[str, str] | None = None


class BillingUsageEvent(BaseModel):
    """Usage of one type in one span of time."""

    bucket_start: datetime
    bucket_end: datetime
    base_model: str | None = None
    user_id: str | None = None
    user_name: str | None = None
    session_id: str | None = None
    project_id: str | None = None
    estimated_cost_usd: float | None = None
    effective_rate_usd_per_million_tokens: float | None = None
    effective_rate_usd_per_gigabyte_month: float | None = None
    event_info: BillingEventInfo


class BillingUsageResponse(BaseModel):
    """Usage in a span of time."""

    data: list[BillingUsageEvent]
    sessions: dict[str, BillingUsageSession] = Field(default_factory=dict)
    cost_data_through: datetime | None = None


class CurrentCheckpointStorageUsageItem(BaseModel):
    """The checkpoints of one project and user."""

    project_id: str | None = None
    org_user_urn: str | None = None
    user_email: str | None = None
    user_name: str | None = None
    checkpoint_count: int
    size_bytes: int
    size_gigabytes: float
    estimated_monthly_cost_usd: float | None = None


class CurrentCheckpointStorageUsageResponse(BaseModel):
    """The storage that checkpoints take."""

    effective_rate_usd_per_gigabyte_month: float | None = None
    data: list[CurrentCheckpointStorageUsageItem]


class GetBillingUsageRequest(StrictBase):
    """Ask for usage in a span of time."""

    starting_on: datetime
    ending_before: datetime


class GetCurrentCheckpointStorageUsageRequest(StrictBase):
    """Ask for the storage that checkpoints take."""

    project_id: str | None = None
