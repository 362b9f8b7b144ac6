# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import mapping, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class UploadedField(Record):
    """A part of a form without a file name.

    Attributes:
        name: Its name.
        value: Its text.
    """

    name: str
    value: str

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"name": self.name, "value": self.value}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(name=required(data, "name", string), value=required(data, "value", string))
