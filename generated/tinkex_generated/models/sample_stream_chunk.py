# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Self

import attrs

from ..decode import integer, mapping, number, optional, string
from ..record import Record


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SampleStreamChunk(Record):
    """One event of stream_sample. With `finish_reason` it ends its sequence, with `error` it
    reports a failure and ends the stream, else it is a token.

    Attributes:
        token: Text of the token; may be empty where a character takes several tokens.
        token_id: The token.
        index: Which of the samples it belongs to, from 0.
        finish_reason: Why the sequence ended: `stop` or `length`.
        total_tokens: At the end: how many tokens were generated.
        logprob: Log-probability of the token.
        error: What went wrong.
    """

    token: str | None = None
    token_id: int | None = None
    index: int | None = None
    finish_reason: str | None = None
    total_tokens: int | None = None
    logprob: float | None = None
    error: str | None = None

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {}
        if self.token is not None:
            result["token"] = self.token
        if self.token_id is not None:
            result["token_id"] = self.token_id
        if self.index is not None:
            result["index"] = self.index
        if self.finish_reason is not None:
            result["finish_reason"] = self.finish_reason
        if self.total_tokens is not None:
            result["total_tokens"] = self.total_tokens
        if self.logprob is not None:
            result["logprob"] = self.logprob
        if self.error is not None:
            result["error"] = self.error
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            token=optional(data, "token", string),
            token_id=optional(data, "token_id", integer),
            index=optional(data, "index", integer),
            finish_reason=optional(data, "finish_reason", string),
            total_tokens=optional(data, "total_tokens", integer),
            logprob=optional(data, "logprob", number),
            error=optional(data, "error", string),
        )
