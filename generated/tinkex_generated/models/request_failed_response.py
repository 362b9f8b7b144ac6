# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import enum, mapping, optional, required, string
from ..record import Record
from .request_error_category import RequestErrorCategory


@attrs.frozen(kw_only=True, eq=False, repr=False)
class RequestFailedResponse(Record):
    """The request behind the promise failed, for good.

    Attributes:
        error: What went wrong.
        category: Whose fault it is. Servers write it always; missing means `unknown`.
    """

    error: str
    category: RequestErrorCategory | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"error": self.error}
        if self.category is not None:
            result["category"] = self.category
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(error=required(data, "error", string), category=optional(data, "category", enum))
