# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import anything, extras, integer, mapping, optional, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class OptimizerConfig(Record):
    """Which optimizer a model is trained with. Other types may come; what they need beside `type`
    is theirs to say.

    Attributes:
        type_: `adamw` (the default everywhere) or `dimuon`.
        version: Version of the optimizer, for `dimuon`.
    """

    type_: str
    version: int | None = None
    additional_properties: dict[str, Any] = attrs.field(factory=dict)

    @property
    def type(self) -> str:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {**self.additional_properties, "type": self.type_}
        if self.version is not None:
            result["version"] = self.version
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are kept. Raises ParseError."""
        data = mapping(data)
        return cls(
            type_=required(data, "type", string),
            version=optional(data, "version", integer),
            additional_properties=extras(data, _KNOWN, anything),
        )


_KNOWN = frozenset({"type", "version"})
