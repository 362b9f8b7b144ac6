# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, integer, mapping, optional, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PromptProvenanceSpan(Record):
    """Tokens that stood in the prompt from which a sequence was sampled.

    Attributes:
        type_: Names the kind of object.
        sequence_id: The sequence, see UntypedAPIFuture.
        length: Number of tokens.
        offset: Position of the first of them in the prompt.
    """

    type_: Literal["prompt_tokens"] = "prompt_tokens"
    sequence_id: str
    length: int
    offset: int = 0

    @property
    def type(self) -> Literal["prompt_tokens"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "type": self.type_,
            "sequence_id": self.sequence_id,
            "length": self.length,
        }
        if self.offset is not None:
            result["offset"] = self.offset
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            type_=constant(data, "type", "prompt_tokens", required=True),
            sequence_id=required(data, "sequence_id", string),
            length=required(data, "length", integer),
            offset=optional(data, "offset", integer, 0),
        )
