"""Our results in the official package's form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np

from tinkex import types as native
from tinkex.tinker.types import (
    ForwardBackwardOutput,
    PromptAltTokens,
    SampledSequence,
    SampleResponse,
    TensorData,
)
from tinkex.tinker.types._base import BaseModel
from tinkex.tinker.types.inputs import TopkLogprobs

M = TypeVar("M", bound=BaseModel)
Pairs = list[list[tuple[int, float]] | None]

_NO_LOGPROB = -99999.0


def record(kind: type[M]) -> Callable[[Any], M]:
    """Return the function from one of our records to the official package's."""

    def translate(value: Any) -> M:
        return kind.model_validate(value.to_dict())

    return translate


def forward_backward_output(value: native.ForwardBackwardOutput) -> ForwardBackwardOutput:
    """Return the result of a forward or forward_backward call."""
    return ForwardBackwardOutput(
        value.loss_fn_output_type,
        [
            {name: tensor_data(tensor) for name, tensor in output.items()}
            for output in value.loss_fn_outputs
        ],
        dict(value.metrics),
    )


def sample_response(value: native.SampleResponse) -> SampleResponse:
    """Return the result of a sample call."""
    prompt, targets, others = (
        value.prompt_logprobs,
        value.target_prompt_logprobs,
        value.prompt_alt_tokens,
    )
    return SampleResponse(
        [_sequence(sequence) for sequence in value.sequences],
        # None becomes NaN.
        None if prompt is None else np.array(prompt, np.float32),
        None if value.topk_prompt_logprobs is None else _matrices(value.topk_prompt_logprobs),
        None if targets is None else tensor_data(targets),
        value.prompt_cache_hit_tokens,
        None
        if others is None
        else PromptAltTokens(tensor_data(others.tokens), tensor_data(others.logprobs)),
        prompt,
        value.topk_prompt_logprobs,
    )


def _sequence(value: native.SampledSequence) -> SampledSequence:
    topk = value.topk_logprobs
    return SampledSequence(
        value.stop_reason,  # type: ignore[arg-type]
        value.sequence_id or "",
        value.tokens_np,
        value.logprobs_np,
        None if topk is None else _matrices(topk),
        None,
        value.logprobs,
        topk,
    )


def tensor_data(value: native.TensorData) -> TensorData:
    """Return a tensor, without a copy."""
    if value.csr is None:
        return TensorData._of(value.numpy())
    listed, crow, columns = value.csr
    return TensorData(listed, value.dtype, list(value.shape), crow.tolist(), columns.tolist())


def _matrices(rows: Pairs) -> TopkLogprobs:
    width = max((len(row) for row in rows if row), default=0)
    tokens = np.zeros((len(rows), width), np.int32)
    logprobs = np.full((len(rows), width), _NO_LOGPROB, np.float32)
    for i, row in enumerate(rows):
        for j, (token, logprob) in enumerate(row or ()):
            tokens[i, j], logprobs[i, j] = token, logprob
    return TopkLogprobs(tokens, logprobs)
