# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import boolean, integer, mapping, optional, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SupportedModel(Record):
    """A base model that the server offers.

    Attributes:
        model_name: Name to give as `base_model`.
        max_context_length: Longest prompt and answer together, in tokens.
        trainable: Whether it can be trained. Null: not said.
        sampleable: Whether it can be sampled from without training. Null: not said.
        model_id: Another name of the model, on some servers.
        arch: Architecture, on some servers.
    """

    model_name: str | None = None
    max_context_length: int | None = None
    trainable: bool | None = None
    sampleable: bool | None = None
    model_id: str | None = None
    arch: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {}
        if self.model_name is not None:
            result["model_name"] = self.model_name
        if self.max_context_length is not None:
            result["max_context_length"] = self.max_context_length
        if self.trainable is not None:
            result["trainable"] = self.trainable
        if self.sampleable is not None:
            result["sampleable"] = self.sampleable
        if self.model_id is not None:
            result["model_id"] = self.model_id
        if self.arch is not None:
            result["arch"] = self.arch
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            model_name=optional(data, "model_name", string),
            max_context_length=optional(data, "max_context_length", integer),
            trainable=optional(data, "trainable", boolean),
            sampleable=optional(data, "sampleable", boolean),
            model_id=optional(data, "model_id", string),
            arch=optional(data, "arch", string),
        )
