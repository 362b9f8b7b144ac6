# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import integer, mapping, number, optional, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CheckpointStorageUsage(Record):
    """What one user stores in one project.

    Attributes:
        checkpoint_count: How many checkpoints.
        size_bytes: Their size.
        size_gigabytes: The same in gigabytes.
        project_id: The project.
        org_user_urn: The user.
        user_email: The user's address.
        user_name: The user's name.
        estimated_monthly_cost_usd: What it costs in a month, in US dollars.
    """

    checkpoint_count: int
    size_bytes: int
    size_gigabytes: float
    project_id: str | None = None
    org_user_urn: str | None = None
    user_email: str | None = None
    user_name: str | None = None
    estimated_monthly_cost_usd: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "checkpoint_count": self.checkpoint_count,
            "size_bytes": self.size_bytes,
            "size_gigabytes": self.size_gigabytes,
        }
        if self.project_id is not None:
            result["project_id"] = self.project_id
        if self.org_user_urn is not None:
            result["org_user_urn"] = self.org_user_urn
        if self.user_email is not None:
            result["user_email"] = self.user_email
        if self.user_name is not None:
            result["user_name"] = self.user_name
        if self.estimated_monthly_cost_usd is not None:
            result["estimated_monthly_cost_usd"] = self.estimated_monthly_cost_usd
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            checkpoint_count=required(data, "checkpoint_count", integer),
            size_bytes=required(data, "size_bytes", integer),
            size_gigabytes=required(data, "size_gigabytes", number),
            project_id=optional(data, "project_id", string),
            org_user_urn=optional(data, "org_user_urn", string),
            user_email=optional(data, "user_email", string),
            user_name=optional(data, "user_name", string),
            estimated_monthly_cost_usd=optional(data, "estimated_monthly_cost_usd", number),
        )
