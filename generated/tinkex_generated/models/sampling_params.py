# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import Reader, array, integer, list_of, mapping, number, one_of, optional, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SamplingParams(Record):
    """How to sample.

    Attributes:
        max_tokens: Most tokens to generate. Null: up to the context limit (some servers require
            it).
        seed: Makes the samples repeatable. Null: a random one.
        stop: Where to end: a string, strings, or token ids (never mixed). Null ends at the
            model's end token only; an empty list ends nowhere but at max_tokens.
        temperature: 0 takes the likeliest token each time; 1 samples from the model's own
            distribution.
        top_k: Sample among the k likeliest tokens; -1 for all. 0 is not allowed.
        top_p: Sample among the likeliest tokens that together have this probability.
    """

    max_tokens: int | None = None
    seed: int | None = None
    stop: str | list[str] | list[int] | None = None
    temperature: float = 1.0
    top_k: int = -1
    top_p: float = 1.0

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {}
        if self.max_tokens is not None:
            result["max_tokens"] = self.max_tokens
        if self.seed is not None:
            result["seed"] = self.seed
        if self.stop is not None:
            result["stop"] = self.stop
        if self.temperature is not None:
            result["temperature"] = self.temperature
        if self.top_k is not None:
            result["top_k"] = self.top_k
        if self.top_p is not None:
            result["top_p"] = self.top_p
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            max_tokens=optional(data, "max_tokens", integer),
            seed=optional(data, "seed", integer),
            stop=optional(data, "stop", _READ_STOP),
            temperature=optional(data, "temperature", number, 1.0),
            top_k=optional(data, "top_k", integer, -1),
            top_p=optional(data, "top_p", number, 1.0),
        )


_READ_STOP: Reader[str | list[str] | list[int]] = one_of(string, list_of(string), array)
