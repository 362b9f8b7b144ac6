# Generated from openapi.yaml by codegen/generate.py. Do not edit.
from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self

import attrs

from ..decode import boolean, constant, integer, mapping, optional, required, string
from ..record import Record
from .model_input import ModelInput
from .sampling_params import SamplingParams
from .tensor_data import TensorData


@attrs.frozen(kw_only=True, eq=False, repr=False)
class SampleRequest(Record):
    """Samples from one prompt. Say what to sample from by `sampling_session_id` and `seq_id`, or
    by exactly one of `base_model` and `model_path`.

    Attributes:
        prompt: The prompt.
        sampling_params: How to sample.
        num_samples: How many sequences.
        base_model: Sample from this base model.
        model_path: Sample from this checkpoint.
        sampling_session_id: Sample in this sampling session.
        seq_id: Number of the sample in its sampling session, from 0, without order. A repeat
            with the same body gets the same promise; a copy of the client numbered c starts at c
            times 10^9.
        prompt_logprobs: Also give the log-probability of each prompt token. Null: no.
        topk_prompt_logprobs: Also give the k likeliest tokens at each prompt position; 0 for
            none.
        topk_sample_logprobs: Also give the k likeliest tokens at each sampled position. The
            hosted service answers it in the binary form only.
        target_prompt_logprobs: Also give the log-probabilities of these tokens: int64 [prompt
            length - 1, K], -1 for none, dense or sparse. The hosted service answers it in the
            binary form only.
        prompt_alt_tokens_k: Also give k alternative tokens at each prompt position after the
            first, drawn independently at the request's temperature. The hosted service answers it
            in the binary form only.
        prompt_logprobs_last_n: Only the last n prompt positions, also of
            `topk_prompt_logprobs`; needs `prompt_logprobs`. At most the prompt's length - 1.
        record_stability_info: Keep what the loss `stable_reinforce` needs of each sampled
            sequence.
        type_: Names the kind of object. May be left out.
    """

    prompt: ModelInput
    sampling_params: SamplingParams
    num_samples: int = 1
    base_model: str | None = None
    model_path: str | None = None
    sampling_session_id: str | None = None
    seq_id: int | None = None
    prompt_logprobs: bool | None = None
    topk_prompt_logprobs: int = 0
    topk_sample_logprobs: int = 0
    target_prompt_logprobs: TensorData | None = None
    prompt_alt_tokens_k: int = 0
    prompt_logprobs_last_n: int | None = None
    record_stability_info: bool | None = None
    type_: Literal["sample"] = "sample"

    @property
    def type(self) -> Literal["sample"]:
        """Return `type_`, by its name on the wire."""
        return self.type_

    def to_dict(self) -> dict[str, Any]:
        """Return the object as JSON has it; arrays are shared, not copied."""
        result: dict[str, Any] = {
            "prompt": self.prompt.to_dict(),
            "sampling_params": self.sampling_params.to_dict(),
            "type": self.type_,
        }
        if self.num_samples is not None:
            result["num_samples"] = self.num_samples
        if self.base_model is not None:
            result["base_model"] = self.base_model
        if self.model_path is not None:
            result["model_path"] = self.model_path
        if self.sampling_session_id is not None:
            result["sampling_session_id"] = self.sampling_session_id
        if self.seq_id is not None:
            result["seq_id"] = self.seq_id
        if self.prompt_logprobs is not None:
            result["prompt_logprobs"] = self.prompt_logprobs
        if self.topk_prompt_logprobs is not None:
            result["topk_prompt_logprobs"] = self.topk_prompt_logprobs
        if self.topk_sample_logprobs is not None:
            result["topk_sample_logprobs"] = self.topk_sample_logprobs
        if self.target_prompt_logprobs is not None:
            result["target_prompt_logprobs"] = self.target_prompt_logprobs.to_dict()
        if self.prompt_alt_tokens_k is not None:
            result["prompt_alt_tokens_k"] = self.prompt_alt_tokens_k
        if self.prompt_logprobs_last_n is not None:
            result["prompt_logprobs_last_n"] = self.prompt_logprobs_last_n
        if self.record_stability_info is not None:
            result["record_stability_info"] = self.record_stability_info
        return result

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> Self:
        """Read a decoded JSON object; unknown keys are ignored. Raises ParseError."""
        data = mapping(data)
        return cls(
            prompt=required(data, "prompt", ModelInput.from_dict),
            sampling_params=required(data, "sampling_params", SamplingParams.from_dict),
            num_samples=optional(data, "num_samples", integer, 1),
            base_model=optional(data, "base_model", string),
            model_path=optional(data, "model_path", string),
            sampling_session_id=optional(data, "sampling_session_id", string),
            seq_id=optional(data, "seq_id", integer),
            prompt_logprobs=optional(data, "prompt_logprobs", boolean),
            topk_prompt_logprobs=optional(data, "topk_prompt_logprobs", integer, 0),
            topk_sample_logprobs=optional(data, "topk_sample_logprobs", integer, 0),
            target_prompt_logprobs=optional(data, "target_prompt_logprobs", TensorData.from_dict),
            prompt_alt_tokens_k=optional(data, "prompt_alt_tokens_k", integer, 0),
            prompt_logprobs_last_n=optional(data, "prompt_logprobs_last_n", integer),
            record_stability_info=optional(data, "record_stability_info", boolean),
            type_=constant(data, "type", "sample", required=False),
        )
