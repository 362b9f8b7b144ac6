# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import integer, mapping, required, string
from ..record import Record
from .api_key_details import ApiKeyDetails


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SelfApiKeyResponse(Record):
    """The key that was presented.

    Attributes:
        key_id: Its number.
        name: Its name.
        note: What its owner noted about it.
        details: Whose it is.
    """

    key_id: int
    name: str
    note: str
    details: ApiKeyDetails

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "key_id": self.key_id,
            "name": self.name,
            "note": self.note,
            "details": self.details.to_dict(),
        }
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            key_id=required(data, "key_id", integer),
            name=required(data, "name", string),
            note=required(data, "note", string),
            details=required(data, "details", ApiKeyDetails.from_dict),
        )
