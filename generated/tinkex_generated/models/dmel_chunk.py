# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, mapping, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class DmelChunk(Record):
    """Audio as discretised mel frames.

    Attributes:
        dmel: A serialized tensor in base64; its first dimension is the number of tokens.
        type_: Names the kind of object. May be left out.
    """

    dmel: str
    type_: Literal["dmel"] = "dmel"

    @property
    def type(self) -> Literal["dmel"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"dmel": self.dmel, "type": self.type_}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            dmel=required(data, "dmel", string),
            type_=constant(data, "type", "dmel", required=False),
        )
