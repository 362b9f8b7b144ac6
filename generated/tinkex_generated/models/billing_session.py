# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, dict_of, mapping, optional, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class BillingSession(Record):
    """A session that usage belongs to.

    Attributes:
        user_metadata: Free labels of the caller, kept as they are and given back.
    """

    user_metadata: dict[str, str] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {}
        if self.user_metadata is not None:
            result["user_metadata"] = self.user_metadata
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(user_metadata=optional(data, "user_metadata", _READ_USER_METADATA))


_READ_USER_METADATA: Reader[dict[str, str]] = dict_of(string)
