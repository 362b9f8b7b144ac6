# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import mapping, optional, required, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class GetSamplerResponse(Record):
    """Of what a sampling session samples.

    Attributes:
        sampler_id: The sampling_session_id.
        base_model: The base model.
        model_path: The checkpoint. Null: the base model itself, or unnamed weights.
    """

    sampler_id: str
    base_model: str
    model_path: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"sampler_id": self.sampler_id, "base_model": self.base_model}
        if self.model_path is not None:
            result["model_path"] = self.model_path
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            sampler_id=required(data, "sampler_id", string),
            base_model=required(data, "base_model", string),
            model_path=optional(data, "model_path", string),
        )
