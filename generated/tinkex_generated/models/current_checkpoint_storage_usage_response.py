# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, list_of, mapping, number, optional, required
from ..record import Record
from .checkpoint_storage_usage import CheckpointStorageUsage


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CurrentCheckpointStorageUsageResponse(Record):
    """What is stored now.

    Attributes:
        data: By project and user.
        effective_rate_usd_per_gigabyte_month: Price of a gigabyte for a month.
    """

    data: list[CheckpointStorageUsage]
    effective_rate_usd_per_gigabyte_month: float | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"data": [item.to_dict() for item in self.data]}
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
            data=required(data, "data", _READ_DATA),
            effective_rate_usd_per_gigabyte_month=optional(
                data, "effective_rate_usd_per_gigabyte_month", number
            ),
        )


_READ_DATA: Reader[list[CheckpointStorageUsage]] = list_of(CheckpointStorageUsage.from_dict)
