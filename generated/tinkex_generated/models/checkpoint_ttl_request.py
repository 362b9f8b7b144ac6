# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, integer, mapping, nullable, required
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class CheckpointTtlRequest(Record):
    """The new life time.

    Attributes:
        ttl_seconds: Seconds from now until the checkpoint is deleted: between one hour and ten
            years. Null keeps it indefinitely. The key is always sent.
    """

    ttl_seconds: int | None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"ttl_seconds": self.ttl_seconds}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(ttl_seconds=required(data, "ttl_seconds", _READ_TTL_SECONDS))


_READ_TTL_SECONDS: Reader[int | None] = nullable(integer)
