# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import boolean, integer, mapping, optional
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ClientDynamicConfigResponse(Record):
    """Settings that may change while a client runs.

    Attributes:
        refresh_interval_sec: When to ask again, in seconds; clients take 10 for anything less.
        sample_cancel_enabled: Whether cancel_future may be used.
        sample_cancel_max_batch_size: How many cancellations may be under way at one time.
    """

    refresh_interval_sec: int = 300
    sample_cancel_enabled: bool = False
    sample_cancel_max_batch_size: int = 64

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {}
        if self.refresh_interval_sec is not None:
            result["refresh_interval_sec"] = self.refresh_interval_sec
        if self.sample_cancel_enabled is not None:
            result["sample_cancel_enabled"] = self.sample_cancel_enabled
        if self.sample_cancel_max_batch_size is not None:
            result["sample_cancel_max_batch_size"] = self.sample_cancel_max_batch_size
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            refresh_interval_sec=optional(data, "refresh_interval_sec", integer, 300),
            sample_cancel_enabled=optional(data, "sample_cancel_enabled", boolean, False),
            sample_cancel_max_batch_size=optional(
                data, "sample_cancel_max_batch_size", integer, 64
            ),
        )
