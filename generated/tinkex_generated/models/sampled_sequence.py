# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import array, enum, mapping, optional, required
from ..record import Record
from .stop_reason import StopReason


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SampledSequence(Record):
    """One sample.

    Attributes:
        tokens: The tokens generated, the stop token included if one was met.
        stop_reason: Why it ended.
        logprobs: The log-probability of each token in the model's own distribution.
        topk_logprobs: For each sampled token up to k pairs [token id, log-probability],
            likeliest first; null where it was not asked for.
    """

    tokens: list[int]
    stop_reason: StopReason
    logprobs: list[float] | None = None
    topk_logprobs: list[Any] | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {"tokens": self.tokens, "stop_reason": self.stop_reason}
        if self.logprobs is not None:
            result["logprobs"] = self.logprobs
        if self.topk_logprobs is not None:
            result["topk_logprobs"] = self.topk_logprobs
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            tokens=required(data, "tokens", array),
            stop_reason=required(data, "stop_reason", enum),
            logprobs=optional(data, "logprobs", array),
            topk_logprobs=optional(data, "topk_logprobs", array),
        )
