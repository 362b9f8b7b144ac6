# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import constant, mapping, optional, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SaveWeightsForSamplerResponseInternal(Record):
    """The weights are kept.

    Attributes:
        path: Named checkpoint: `tinker://<model_id>/sampler_weights/<name>`.
        sampling_session_id: Sampling session on unnamed weights: its id.
        type_: Names the kind of object. May be left out.
    """

    path: str | None = None
    sampling_session_id: str | None = None
    type_: Literal["save_weights_for_sampler"] = "save_weights_for_sampler"

    @property
    def type(self) -> Literal["save_weights_for_sampler"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"type": self.type_}
        if self.path is not None:
            result["path"] = self.path
        if self.sampling_session_id is not None:
            result["sampling_session_id"] = self.sampling_session_id
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            path=optional(data, "path", string),
            sampling_session_id=optional(data, "sampling_session_id", string),
            type_=constant(data, "type", "save_weights_for_sampler", required=False),
        )
