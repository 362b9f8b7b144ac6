# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, list_of, mapping, required
from ..record import Record
from .supported_model import SupportedModel


@attrs.frozen(kw_only=True, eq=False, repr=False)
class GetServerCapabilitiesResponse(Record):
    """What the server offers.

    Attributes:
        supported_models: The base models.
    """

    supported_models: list[SupportedModel]

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "supported_models": [item.to_dict() for item in self.supported_models]
        }
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(supported_models=required(data, "supported_models", _READ_SUPPORTED_MODELS))


_READ_SUPPORTED_MODELS: Reader[list[SupportedModel]] = list_of(SupportedModel.from_dict)
