"""What training and sampling return."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np

from tinkex.tinker.types.inputs import (
    Datum,
    LossFnOutput,
    LossFnType,
    ModelID,
    PromptAltTokens,
    TensorData,
    TopkLogprobs,
)

StopReason = Literal["length", "stop"]

# For each position its (token id, log probability) pairs; None for one without any.
_Pairs = list[list[tuple[int, float]] | None]
# In cells without a token.
_NO_LOGPROB = np.float32(-99999.0)


@dataclass(frozen=True)
class ForwardBackwardInput:
    """A batch and its loss."""

    data: list[Datum]
    loss_fn: LossFnType
    loss_fn_config: Mapping[str, float | str] | None = None


@dataclass(frozen=True)
class ForwardBackwardRequest:
    """Compute gradients of a batch."""

    forward_backward_input: ForwardBackwardInput
    model_id: ModelID
    seq_id: int | None = None


@dataclass(frozen=True)
class ForwardRequest:
    """Compute the loss of a batch."""

    forward_input: ForwardBackwardInput
    model_id: ModelID
    seq_id: int | None = None


@dataclass(frozen=True)
class ForwardBackwardOutput:
    """The result of a forward or forward_backward call."""

    loss_fn_output_type: str
    loss_fn_outputs: list[LossFnOutput]
    metrics: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class SampledSequence:
    """One sampled continuation, as arrays (``tokens_np``) and as lists (``tokens``)."""

    stop_reason: StopReason
    sequence_id: str
    tokens_np: np.ndarray[Any, Any] | None = field(default=None, repr=False)
    logprobs_np: np.ndarray[Any, Any] | None = field(default=None, repr=False)
    topk_logprobs_np: TopkLogprobs | None = field(default=None, repr=False)
    _tokens_list: list[int] | None = field(default=None, repr=False)
    _logprobs_list: list[float] | None = field(default=None, repr=False)
    _topk_logprobs_list: _Pairs | None = field(default=None, repr=False)

    @cached_property
    def tokens(self) -> list[int]:
        """Return the token ids."""
        if self._tokens_list is not None:
            return self._tokens_list
        return [] if self.tokens_np is None else self.tokens_np.tolist()

    @cached_property
    def logprobs(self) -> list[float] | None:
        """Return the log probability of each token, if the server gave them."""
        if self._logprobs_list is not None:
            return self._logprobs_list
        return None if self.logprobs_np is None else self.logprobs_np.tolist()

    @cached_property
    def topk_logprobs(self) -> _Pairs | None:
        """Return the likeliest tokens at each position, if they were asked for."""
        return _pairs(self.topk_logprobs_np, self._topk_logprobs_list)


@dataclass(frozen=True)
class SampleResponse:
    """The result of a sample call."""

    sequences: Sequence[SampledSequence]
    prompt_logprobs_np: np.ndarray[Any, Any] | None = field(default=None, repr=False)
    topk_prompt_logprobs_np: TopkLogprobs | None = field(default=None, repr=False)
    target_prompt_logprobs: TensorData | None = None
    prompt_cache_hit_tokens: int = 0
    prompt_alt_tokens: PromptAltTokens | None = None
    _prompt_logprobs_list: list[float | None] | None = field(default=None, repr=False)
    _topk_prompt_logprobs_list: _Pairs | None = field(default=None, repr=False)

    @cached_property
    def prompt_logprobs(self) -> list[float | None] | None:
        """Return the log probability of each prompt token; None where it was not computed."""
        if self._prompt_logprobs_list is not None or self.prompt_logprobs_np is None:
            return self._prompt_logprobs_list
        values = self.prompt_logprobs_np.tolist()
        return [None if value != value else value for value in values]

    @cached_property
    def topk_prompt_logprobs(self) -> _Pairs | None:
        """Return the likeliest tokens at each prompt position, if they were asked for."""
        return _pairs(self.topk_prompt_logprobs_np, self._topk_prompt_logprobs_list)


def _pairs(matrices: TopkLogprobs | None, lists: _Pairs | None) -> _Pairs | None:
    if lists is not None or matrices is None:
        return lists
    is_there = (matrices.token_ids != 0) | (matrices.logprobs != _NO_LOGPROB)
    # Cells without a token stand at the end of a row.
    counts = is_there.shape[1] - np.argmax(is_there[:, ::-1], axis=1) if is_there.size else []
    rows = zip(
        matrices.token_ids.tolist(), matrices.logprobs.tolist(), counts, is_there, strict=True
    )
    return [
        list(zip(tokens[:count], logprobs[:count], strict=True)) if there.any() else None
        for tokens, logprobs, count, there in rows
    ]
