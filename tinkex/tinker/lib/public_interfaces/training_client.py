"""The client that trains one model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, TypeVar

import tinkex
from tinkex.tinker import types
from tinkex.tinker._calls import Calls
from tinkex.tinker._console_urls import training_run_console_url
from tinkex.tinker._exceptions import translating
from tinkex.tinker._futures import (
    APIFuture,
    AwaitableConcurrentFuture,
    Result,
)
from tinkex.tinker._tokenizers import tokenizer_of
from tinkex.tinker._translation import forward_backward_output, record
from tinkex.tinker._twins import awaiting, returning, superseded
from tinkex.tinker.lib.public_interfaces import custom_loss
from tinkex.tinker.lib.public_interfaces.backcompat_sampling_client_future import (
    BackcompatSamplingClientFuture,
)
from tinkex.tinker.lib.public_interfaces.custom_loss import LossHandle
from tinkex.tinker.lib.public_interfaces.sampling_client import SamplingClient
from tinkex.tinker.lib.retry_handler import RetryConfig, native_retry

T = TypeVar("T")
CustomLossFn = Callable[[list[types.Datum], list[Any]], tuple[Any, Mapping[str, float]]]


class TrainingClient:
    """Train one model: gradients in, optimizer steps, checkpoints out.

    Made by `ServiceClient.create_lora_training_client`. Calls return a future at once; their
    requests are sent in the order of the calls.

    Attributes:
        model_id: The server's name of the model; also the id of its training run.
    """

    def __init__(self, native: tinkex.TrainingClient) -> None:
        self._native = native
        self.model_id = native.model_id
        # One at a time, which keeps their order.
        self._calls = Calls()
        self._info: types.GetInfoResponse | None = None

    def _submit(
        self, translate: Callable[[Any], T], function: Callable[..., Any], *args: Any, **kwargs: Any
    ) -> APIFuture[T]:
        return Result(translate, self._calls.submit(function, *args, **kwargs))

    def forward(
        self,
        data: list[types.Datum],
        loss_fn: types.LossFnType,
        loss_fn_config: Mapping[str, float | str] | None = None,
    ) -> APIFuture[types.ForwardBackwardOutput]:
        """Compute the loss and log probabilities of data, without gradients."""
        return self._submit(
            forward_backward_output, self._native.forward, data, loss_fn, loss_fn_config
        )

    def forward_backward(
        self,
        data: list[types.Datum],
        loss_fn: types.LossFnType,
        loss_fn_config: Mapping[str, float | str] | None = None,
    ) -> APIFuture[types.ForwardBackwardOutput]:
        """Compute the gradients of a loss and add them to the accumulated gradients."""
        return self._submit(
            forward_backward_output, self._native.forward_backward, data, loss_fn, loss_fn_config
        )

    def forward_backward_custom(
        self,
        data: list[types.Datum],
        loss_fn: CustomLossFn | LossHandle,
        *,
        loss_type_input: Literal["logprobs"] | None = None,
    ) -> APIFuture[types.ForwardBackwardOutput]:
        """Compute the gradients of a custom loss and add them to the accumulated gradients.

        Args:
            data: The examples.
            loss_fn: From (data, log probabilities as torch tensors) to (loss, metrics), or a
                traced loss.
            loss_type_input: Deprecated; a loss always reads log probabilities.
        """
        if loss_type_input not in (None, "logprobs"):
            raise ValueError(f"loss_type_input must be 'logprobs', not {loss_type_input!r}")
        if isinstance(loss_fn, LossHandle):
            custom_loss.check_inputs(loss_fn, data)
            if loss_fn.loss_id is not None:
                return self.forward_backward(data, "custom", {"loss_id": loss_fn.loss_id})

        def evaluate(_: Any, logprobs: list[Any]) -> tuple[Any, Mapping[str, float]]:
            if isinstance(loss_fn, LossHandle):
                return custom_loss.run(loss_fn, data, logprobs)
            return loss_fn(data, logprobs)

        return self._submit(
            forward_backward_output,
            self._native.forward_backward_custom,
            data,
            evaluate,
            backend="torch",
        )

    def optim_step(
        self,
        optim_params: types.OptimParams | None = None,
        *,
        adam_params: types.AdamParams | None = None,
    ) -> APIFuture[types.OptimStepResponse]:
        """Apply the accumulated gradients, and clear them.

        Args:
            optim_params: The step's settings.
            adam_params: Their former name.
        """
        if (optim_params is None) == (adam_params is None):
            raise ValueError("give optim_params")
        return self._submit(
            record(types.OptimStepResponse), self._native.optim_step, optim_params or adam_params
        )

    def save_state(
        self,
        name: str,
        ttl_seconds: int | None = None,
        overwrite: bool = False,
        user_metadata: dict[str, str] | None = None,
    ) -> APIFuture[types.SaveWeightsResponse]:
        """Save weights and optimizer, to continue from later."""
        return self._submit(
            record(types.SaveWeightsResponse),
            self._native.save_state,
            name,
            ttl_seconds,
            overwrite,
            user_metadata,
        )

    @superseded("ServiceClient.create_training_client_from_state")
    def load_state(
        self, path: str, weights_access_token: str | None = None
    ) -> APIFuture[types.LoadWeightsResponse]:
        """Load a checkpoint's weights."""
        return self._submit(
            record(types.LoadWeightsResponse), self._native.load_state, path, weights_access_token
        )

    @superseded("ServiceClient.create_training_client_from_state_with_optimizer")
    def load_state_with_optimizer(
        self, path: str, weights_access_token: str | None = None
    ) -> APIFuture[types.LoadWeightsResponse]:
        """Load a checkpoint's weights and its optimizer state."""
        return self._submit(
            record(types.LoadWeightsResponse),
            self._native.load_state_with_optimizer,
            path,
            weights_access_token,
        )

    def save_weights_for_sampler(
        self,
        name: str,
        ttl_seconds: int | None = None,
        user_metadata: dict[str, str] | None = None,
    ) -> APIFuture[types.SaveWeightsForSamplerResponse]:
        """Save weights to sample from."""
        return self._submit(
            record(types.SaveWeightsForSamplerResponse),
            self._native.save_weights_for_sampler,
            name,
            ttl_seconds,
            user_metadata,
        )

    def save_weights_external(
        self,
        name: str,
        ttl_seconds: int | None = None,
        age_encryption_recipients: list[str] | None = None,
    ) -> APIFuture[types.SaveWeightsExternalResponse]:
        """Export weights as files."""
        return self._submit(
            record(types.SaveWeightsExternalResponse),
            self._native.save_weights_external,
            name,
            ttl_seconds,
            age_encryption_recipients,
        )

    def get_info(self) -> types.GetInfoResponse:
        """Return what the server knows about the model."""
        if self._info is None:
            self._info = record(types.GetInfoResponse)(translating(self._native.get_info)())
        return self._info

    @translating
    def get_tokenizer(self) -> Any:
        """Return the tokenizer of the base model."""
        return tokenizer_of(self._native)

    def create_sampling_client(
        self,
        model_path: str,
        retry_config: RetryConfig | None = None,
        record_stability_info: bool = False,
    ) -> BackcompatSamplingClientFuture:
        """Return a future of the client that samples from saved weights."""

        def create() -> SamplingClient:
            native = self._native.create_sampling_client(model_path, native_retry(retry_config))
            return SamplingClient(native, record_stability_info)

        return self._sampler(create)

    def save_weights_and_get_sampling_client(
        self,
        name: str | None = None,
        retry_config: RetryConfig | None = None,
        record_stability_info: bool = False,
        kind: types.SamplingClientKind = "snapshot",
    ) -> BackcompatSamplingClientFuture:
        """Return a future of the client that samples from the weights as they are now."""

        def create() -> SamplingClient:
            native = self._native.save_weights_and_get_sampling_client(
                name, native_retry(retry_config), kind
            )
            return SamplingClient(native, record_stability_info)

        return self._sampler(create)

    def _sampler(self, create: Callable[[], SamplingClient]) -> BackcompatSamplingClientFuture:
        created = self._calls.submit(translating(create))
        return BackcompatSamplingClientFuture(AwaitableConcurrentFuture(created))

    def get_console_url(self) -> str:
        """Return the address of the training run's page in the service's console."""
        return training_run_console_url(self.model_id)

    def get_telemetry(self) -> None:
        """Return None: these clients report nothing about themselves."""
        return

    forward_async = returning(forward)
    forward_backward_async = returning(forward_backward)
    forward_backward_custom_async = returning(forward_backward_custom)
    optim_step_async = returning(optim_step)
    save_state_async = returning(save_state)
    load_state_async = returning(load_state)
    load_state_with_optimizer_async = returning(load_state_with_optimizer)
    save_weights_for_sampler_async = returning(save_weights_for_sampler)
    save_weights_external_async = returning(save_weights_external)
    get_info_async = returning(get_info)
    create_sampling_client_async = awaiting(create_sampling_client)
    save_weights_and_get_sampling_client_async = awaiting(save_weights_and_get_sampling_client)
