# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import array, constant, mapping, required
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class EncodedTextChunk(Record):
    """Text as token ids.

    Attributes:
        tokens: The token ids.
        type_: Names the kind of object. May be left out.
    """

    tokens: list[int]
    type_: Literal["encoded_text"] = "encoded_text"

    @property
    def type(self) -> Literal["encoded_text"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"tokens": self.tokens, "type": self.type_}
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            tokens=required(data, "tokens", array),
            type_=constant(data, "type", "encoded_text", required=False),
        )
