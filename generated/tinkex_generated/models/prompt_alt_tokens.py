# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import mapping, required
from ..record import Record
from .tensor_data import TensorData


@attrs.frozen(kw_only=True, eq=False, repr=False)
class PromptAltTokens(Record):
    """Tokens drawn at each prompt position after the first; row i is about position i + 1.

    Attributes:
        tokens: int64 [prompt length - 1, k].
        logprobs: float32 of the same shape; the log-probability of each token.
    """

    tokens: TensorData
    logprobs: TensorData

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "tokens": self.tokens.to_dict(),
            "logprobs": self.logprobs.to_dict(),
        }
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            tokens=required(data, "tokens", TensorData.from_dict),
            logprobs=required(data, "logprobs", TensorData.from_dict),
        )
