# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import boolean, mapping, optional, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class FutureRetrieveRequest(Record):
    """Which promise to look at.

    Attributes:
        request_id: The id from the promise.
        allow_metadata_only: Let the server answer with a FutureMetadataResponse when the result
            is large, so that the caller can make room before it fetches the result itself.
    """

    request_id: str
    allow_metadata_only: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"request_id": self.request_id}
        if self.allow_metadata_only is not None:
            result["allow_metadata_only"] = self.allow_metadata_only
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            request_id=required(data, "request_id", string),
            allow_metadata_only=optional(data, "allow_metadata_only", boolean, False),
        )
