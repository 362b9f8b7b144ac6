# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import mapping, optional, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class ModelData(Record):
    """Of what the model is made.

    Attributes:
        arch: Architecture.
        model_name: Name of the base model; the tokenizer is looked up by it.
        tokenizer_id: Name of the tokenizer, if it differs. What follows the first colon is to
            be ignored.
    """

    arch: str | None = None
    model_name: str | None = None
    tokenizer_id: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {}
        if self.arch is not None:
            result["arch"] = self.arch
        if self.model_name is not None:
            result["model_name"] = self.model_name
        if self.tokenizer_id is not None:
            result["tokenizer_id"] = self.tokenizer_id
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            arch=optional(data, "arch", string),
            model_name=optional(data, "model_name", string),
            tokenizer_id=optional(data, "tokenizer_id", string),
        )
