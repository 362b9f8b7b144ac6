"""The client that samples from one set of weights."""

from __future__ import annotations

import base64
import json
from typing import Any

import attrs

import tinkex
from tinkex.sampling import SamplerHandle
from tinkex.tinker import types
from tinkex.tinker._exceptions import translating
from tinkex.tinker._futures import APIFuture, Result
from tinkex.tinker._tokenizers import tokenizer_of
from tinkex.tinker._translation import sample_response
from tinkex.tinker._twins import awaiting, returning
from tinkex.types.foreign import settings_of


class SamplingClient:
    """Sample from the weights of a checkpoint, or from a base model.

    Made by `ServiceClient.create_sampling_client` or
    `TrainingClient.save_weights_and_get_sampling_client`. It can be pickled, to sample in other
    processes; those read their credential from their own environment.
    """

    def __init__(self, native: tinkex.SamplingClient, record_stability_info: bool = False) -> None:
        self._native = native
        self._record_stability_info = record_stability_info
        # Programs sample thousands of times with one object of settings, which is immutable.
        self._settings: tuple[Any, tinkex.SamplingParams] | None = None

    @property
    def _sampling_session_id(self) -> str:
        return self._native.sampling_session_id

    @translating
    def sample(
        self,
        prompt: types.ModelInput,
        num_samples: int,
        sampling_params: types.SamplingParams,
        include_prompt_logprobs: bool = False,
        topk_prompt_logprobs: int = 0,
        topk_sample_logprobs: int = 0,
        target_prompt_logprobs: types.TensorData | None = None,
        prompt_alt_tokens_k: int = 0,
        prompt_logprobs_last_n: int | None = None,
    ) -> APIFuture[types.SampleResponse]:
        """Sample continuations of a prompt; it returns at once."""
        settings = self._settings
        if settings is None or settings[0] is not sampling_params:
            ours = settings_of(sampling_params, tinkex.SamplingParams, "sampling_params")
            self._settings = settings = (sampling_params, ours)
        native = self._native.sample(
            prompt,  # type: ignore[arg-type]
            num_samples,
            settings[1],
            include_prompt_logprobs,
            topk_prompt_logprobs,
            topk_sample_logprobs=topk_sample_logprobs,
            target_prompt_logprobs=target_prompt_logprobs,
            prompt_alt_tokens_k=prompt_alt_tokens_k,
            prompt_logprobs_last_n=prompt_logprobs_last_n,
            record_stability_info=self._record_stability_info or None,
        )
        return Result(sample_response).follow(native)

    @translating
    def compute_logprobs(
        self, prompt: types.ModelInput, prompt_logprobs_last_n: int | None = None
    ) -> APIFuture[list[float | None]]:
        """Compute the log probability of each token of a text; None for the first."""
        native = self._native.compute_logprobs(
            prompt,  # type: ignore[arg-type]
            prompt_logprobs_last_n,
        )
        return Result[list[float | None]](_unchanged).follow(native)

    @translating
    def get_base_model(self) -> str:
        """Return the name of the base model under these weights."""
        return self._native.get_base_model()

    @translating
    def get_tokenizer(self) -> Any:
        """Return the tokenizer of the base model."""
        return tokenizer_of(self._native)

    def get_sampler_handle(self) -> str:
        """Return a text that names the sampler to other processes, without the credential."""
        handle = attrs.asdict(self._native.handle())
        handle["record_stability_info"] = self._record_stability_info
        return base64.urlsafe_b64encode(json.dumps(handle).encode()).decode("ascii")

    @staticmethod
    @translating
    def from_sampler_handle(handle: str, *, api_key: str | None = None) -> SamplingClient:
        """Return a client for the sampler of another process.

        Args:
            handle: From `get_sampler_handle`.
            api_key: The credential; None takes that of the environment.
        """
        fields = json.loads(base64.urlsafe_b64decode(handle))
        records_stability_info = fields.pop("record_stability_info")
        retry_config = tinkex.RetryConfig(**fields.pop("retry_config"))
        native = tinkex.SamplingClient.from_handle(
            SamplerHandle(**fields, retry_config=retry_config), api_key=api_key
        )
        return SamplingClient(native, records_stability_info)

    def __reduce__(self) -> Any:
        return SamplingClient, (self._native, self._record_stability_info)

    def get_telemetry(self) -> None:
        """Return None: these clients report nothing about themselves."""
        return

    sample_async = awaiting(sample)
    compute_logprobs_async = awaiting(compute_logprobs)
    get_base_model_async = returning(get_base_model)


def _unchanged(value: Any) -> Any:
    return value
