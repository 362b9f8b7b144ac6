# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import integer, mapping, required
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class Cursor(Record):
    """Place of a page in a list. There are more while `offset` plus the page's length is less than
    `total_count`; the next page starts at `offset` + `limit`.

    Attributes:
        offset: Entries before the page.
        limit: Most entries of a page.
        total_count: Entries in all.
    """

    offset: int
    limit: int
    total_count: int

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "offset": self.offset,
            "limit": self.limit,
            "total_count": self.total_count,
        }
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            offset=required(data, "offset", integer),
            limit=required(data, "limit", integer),
            total_count=required(data, "total_count", integer),
        )
