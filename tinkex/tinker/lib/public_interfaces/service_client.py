"""The client that the others come from."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Literal, Self

import tinkex
from tinkex.tinker import types
from tinkex.tinker._calls import Calls
from tinkex.tinker._console_urls import session_console_url, sessions_console_url
from tinkex.tinker._exceptions import translating
from tinkex.tinker._futures import APIFuture, AwaitableConcurrentFuture
from tinkex.tinker._twins import awaiting, superseded
from tinkex.tinker.lib.public_interfaces import custom_loss
from tinkex.tinker.lib.public_interfaces.backcompat_sampling_client_future import (
    BackcompatSamplingClientFuture,
)
from tinkex.tinker.lib.public_interfaces.backcompat_training_client_future import (
    BackcompatTrainingClientFuture,
)
from tinkex.tinker.lib.public_interfaces.custom_loss import LossHandle, PerDatumLossFn
from tinkex.tinker.lib.public_interfaces.rest_client import SIDE_BY_SIDE, RestClient
from tinkex.tinker.lib.public_interfaces.sampling_client import SamplingClient
from tinkex.tinker.lib.public_interfaces.training_client import TrainingClient
from tinkex.tinker.lib.retry_handler import RetryConfig, native_retry


class ServiceClient:
    """Connect to a Tinker server and make the clients that train and sample.

    >>> service_client = tinker.ServiceClient()
    >>> training_client = service_client.create_lora_training_client("Qwen/Qwen3-8B").result()

    Args:
        user_metadata: Key-value pairs stored with the session.
        project_id: The project that the session belongs to.
        display_name: What people see as the session's name.
        base_url: The server's URL, or "local" for the embedded server.
        api_key: The credential.
        default_headers_overrides: Headers of every request.
        kwargs: Ignored, with a warning.
    """

    def __init__(
        self,
        user_metadata: dict[str, str] | None = None,
        project_id: str | None = None,
        *,
        display_name: str | None = None,
        base_url: str | None = None,
        api_key: str | None = None,
        default_headers_overrides: Mapping[str, str] | None = None,
        **kwargs: Any,
    ) -> None:
        if kwargs:
            names = ", ".join(sorted(kwargs))
            warnings.warn(f"ServiceClient ignores {names}", FutureWarning, stacklevel=2)
        # A key under a mistyped name would stand in the locals of every traceback through here.
        kwargs.clear()
        self._native = translating(tinkex.ServiceClient)(
            user_metadata,
            project_id,
            display_name=display_name,
            base_url=base_url,
            api_key=api_key,
            default_headers=default_headers_overrides,
        )
        self._calls = Calls(SIDE_BY_SIDE)
        self._losses: dict[str, LossHandle] = {}

    def create_lora_training_client(
        self,
        base_model: str,
        rank: int = 32,
        seed: int | None = None,
        train_mlp: bool = True,
        train_attn: bool = True,
        train_unembed: bool = True,
        user_metadata: dict[str, str] | None = None,
        optimizer: types.OptimizerConfig | None = None,
    ) -> BackcompatTrainingClientFuture:
        """Create a LoRA adapter on a base model; return a future of the client that trains it."""
        return self._training(
            self._native.create_lora_training_client,
            base_model,
            rank,
            seed,
            train_mlp,
            train_attn,
            train_unembed,
            user_metadata,
            optimizer and optimizer.type,
        )

    def create_training_client_from_state(
        self,
        path: str,
        base_model: str | None = None,
        user_metadata: dict[str, str] | None = None,
        weights_access_token: str | None = None,
        optimizer: types.OptimizerConfig | None = None,
    ) -> BackcompatTrainingClientFuture:
        """Return a future of a client with a checkpoint's weights and a new optimizer."""
        return self._training(
            self._native.create_training_client_from_state,
            path,
            user_metadata,
            weights_access_token,
            optimizer=optimizer and optimizer.type,
            base_model=base_model,
        )

    def create_training_client_from_state_with_optimizer(
        self,
        path: str,
        base_model: str | None = None,
        user_metadata: dict[str, str] | None = None,
        weights_access_token: str | None = None,
    ) -> BackcompatTrainingClientFuture:
        """Return a future of a client that continues exactly where a checkpoint stopped."""
        return self._training(
            self._native.create_training_client_from_state_with_optimizer,
            path,
            user_metadata,
            weights_access_token,
            base_model=base_model,
        )

    def _training(
        self, create: Callable[..., tinkex.TrainingClient], *args: Any, **kwargs: Any
    ) -> BackcompatTrainingClientFuture:
        def client() -> TrainingClient:
            return TrainingClient(create(*args, **kwargs))

        created = self._calls.submit(translating(client))
        return BackcompatTrainingClientFuture(AwaitableConcurrentFuture(created))

    def create_sampling_client(
        self,
        model_path: str | None = None,
        base_model: str | None = None,
        retry_config: RetryConfig | None = None,
        record_stability_info: bool = False,
    ) -> BackcompatSamplingClientFuture:
        """Return a future of a client that samples from saved weights or from a base model."""

        def client() -> SamplingClient:
            native = self._native.create_sampling_client(
                model_path, base_model, native_retry(retry_config)
            )
            return SamplingClient(native, record_stability_info)

        created = self._calls.submit(translating(client))
        return BackcompatSamplingClientFuture(AwaitableConcurrentFuture(created))

    def create_custom_loss(
        self, fn: PerDatumLossFn, input_ranks: Mapping[str, types.CustomLossInputRank]
    ) -> APIFuture[LossHandle]:
        """Trace a loss of torch code, upload it if the server runs such, and return its handle.

        >>> def neg_ll(logprobs, weights):
        ...     loss = -(logprobs * weights).sum()
        ...     return loss, {"custom/neg_ll:sum": loss}
        >>> ranks = {"logprobs": 1, "weights": 1}
        >>> handle = service_client.create_custom_loss(neg_ll, ranks).result()

        Args:
            fn: Takes the log probabilities of one example and inputs by their names; returns its
                loss and metrics named ``custom/<name>:sum`` or ``:mean``.
            input_ranks: The rank of each of its parameters.
        """

        def create() -> LossHandle:
            handle = custom_loss.trace(fn, input_ranks, self._native.session.id)
            if handle.key not in self._losses:
                self._losses[handle.key] = custom_loss.uploaded(handle, self._native)
            return self._losses[handle.key]

        return AwaitableConcurrentFuture(self._calls.submit(translating(create)))

    def copy_weights(
        self,
        path: str,
        *,
        ttl_seconds: int | None = None,
        weights_access_token: str | None = None,
    ) -> APIFuture[str]:
        """Copy a checkpoint into this client's project, and return the copy's path."""
        return RestClient(self._native).copy_weights(
            path,
            self._native.config.project_id,
            ttl_seconds=ttl_seconds,
            weights_access_token=weights_access_token,
        )

    @superseded("RestClient()")
    def create_rest_client(self) -> RestClient:
        """Return the client for what lies on the server."""
        return RestClient(self._native)

    @superseded("RestClient().get_server_capabilities")
    def get_server_capabilities(self) -> types.GetServerCapabilitiesResponse:
        """Return the models that the server has."""
        return RestClient(self._native).get_server_capabilities().result()

    @superseded("`await RestClient().get_server_capabilities()`")
    async def get_server_capabilities_async(self) -> types.GetServerCapabilitiesResponse:
        """Return the models that the server has."""
        return await RestClient(self._native).get_server_capabilities()

    def get_console_url(self) -> str:
        """Return the address of the session's page in the service's console."""
        session_id = self._native.session_id
        return session_console_url(session_id) if session_id else sessions_console_url()

    def get_telemetry(self) -> None:
        """Return None: these clients report nothing about themselves."""
        return

    def close(
        self, status: Literal["success", "errored", "interrupted"], detail: str | None = None
    ) -> AwaitableConcurrentFuture[None]:
        """End the session; return a future that is done when it has ended."""
        return AwaitableConcurrentFuture(self._calls.submit(self._native.close, status, detail))

    def __enter__(self) -> Self:
        translating(self._native.__enter__)()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._native.__exit__(kind, error, traceback)

    create_lora_training_client_async = awaiting(create_lora_training_client)
    create_training_client_from_state_async = awaiting(create_training_client_from_state)
    create_training_client_from_state_with_optimizer_async = awaiting(
        create_training_client_from_state_with_optimizer
    )
    create_sampling_client_async = awaiting(create_sampling_client)
