# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import Reader, array, constant, integer, list_of, mapping, optional, required
from ..record import Record
from .prompt_alt_tokens import PromptAltTokens
from .sampled_sequence import SampledSequence
from .tensor_data import TensorData


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SampleResponse(Record):
    """Result of asample.

    Attributes:
        sequences: The samples, as many as were asked for.
        prompt_logprobs: Log-probability of each prompt token given those before it; null where
            there is none, as for the first.
        topk_prompt_logprobs: One row per prompt position: null where undefined, else up to k
            pairs [token id, log-probability], likeliest first.
        target_prompt_logprobs: The log-probabilities that were asked for: float32, in the shape
            and layout of the request, 0 in cells of -1.
        prompt_alt_tokens: The alternative tokens that were asked for.
        prompt_cache_hit_tokens: How many prompt tokens came from the server's cache.
        type_: Names the kind of object. May be left out.
    """

    sequences: list[SampledSequence]
    prompt_logprobs: list[float | None] | None = None
    topk_prompt_logprobs: list[Any] | None = None
    target_prompt_logprobs: TensorData | None = None
    prompt_alt_tokens: PromptAltTokens | None = None
    prompt_cache_hit_tokens: int | None = None
    type_: Literal["sample"] = "sample"

    @property
    def type(self) -> Literal["sample"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "sequences": [item.to_dict() for item in self.sequences],
            "type": self.type_,
        }
        if self.prompt_logprobs is not None:
            result["prompt_logprobs"] = self.prompt_logprobs
        if self.topk_prompt_logprobs is not None:
            result["topk_prompt_logprobs"] = self.topk_prompt_logprobs
        if self.target_prompt_logprobs is not None:
            result["target_prompt_logprobs"] = self.target_prompt_logprobs.to_dict()
        if self.prompt_alt_tokens is not None:
            result["prompt_alt_tokens"] = self.prompt_alt_tokens.to_dict()
        if self.prompt_cache_hit_tokens is not None:
            result["prompt_cache_hit_tokens"] = self.prompt_cache_hit_tokens
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            sequences=required(data, "sequences", _READ_SEQUENCES),
            prompt_logprobs=optional(data, "prompt_logprobs", array),
            topk_prompt_logprobs=optional(data, "topk_prompt_logprobs", array),
            target_prompt_logprobs=optional(data, "target_prompt_logprobs", TensorData.from_dict),
            prompt_alt_tokens=optional(data, "prompt_alt_tokens", PromptAltTokens.from_dict),
            prompt_cache_hit_tokens=optional(data, "prompt_cache_hit_tokens", integer),
            type_=constant(data, "type", "sample", required=False),
        )


_READ_SEQUENCES: Reader[list[SampledSequence]] = list_of(SampledSequence.from_dict)
