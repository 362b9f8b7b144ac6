"""The client that creates the other clients."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future as StandardFuture
from typing import TYPE_CHECKING, Any, Literal, ParamSpec, Self, TypeVar, Unpack, cast

from tinkex_generated.api.service import get_server_capabilities, healthz

from tinkex._base.secret import Secret
from tinkex._core.checks import check_training_path
from tinkex._core.embedded_server import embedded_server, with_embedded_server
from tinkex._core.futures import fail_in_child
from tinkex._core.lenient import read_capabilities
from tinkex._core.model_creation import ExpectedAdapter, check_restorable, lora_of, optimizer_of
from tinkex._core.queue_state import QueueObserver
from tinkex._core.session import Session
from tinkex._core.transport import Transport
from tinkex.config import Config, settle
from tinkex.errors import ClientClosedError, ValidationError
from tinkex.sampling import RetryConfig, SamplingClient
from tinkex.training import TrainingClient
from tinkex.types import GetServerCapabilitiesResponse, HealthResponse, LoraConfig

if TYPE_CHECKING:
    from datetime import timedelta

    from tinkex.observability.telemetry import TelemetryReporter
    from tinkex.rest import RestClient
    from tinkex.types import CustomLossGraph, CustomLossInput

P = ParamSpec("P")
T = TypeVar("T")

# Worker threads of `submit`.
SIDE_BY_SIDE = 16


class ServiceClient:
    """A connection to a Tinker server; creates training, sampling and REST clients.

    >>> with ServiceClient(base_url="local") as service:
    ...     training = service.create_lora_training_client("tinkex/tiny-chat", rank=16)

    Settings that are not given come from the environment (TINKER_API_KEY, TINKER_BASE_URL, …) or from
    defaults; `config` shows each value with its source. ``base_url="local"`` starts the embedded server
    in this process; it needs no key and no network.

    A session starts with the first training or sampling client and ends with `close` or the ``with``
    block.

    Args:
        user_metadata: Key-value pairs stored with the session.
        project_id: The project that the session belongs to.
        base_url: The server's URL, or "local".
        api_key: The API key, or a function that returns it and is called again when the server
            no longer accepts it.
        tags: Labels of the session.
        display_name: The session's name, for people.
        on_queue_state: Called with a `QueueStateChange` when the server pauses or resumes requests of this
            client, on the thread that polls.
        timeout: Seconds per HTTP attempt.
        max_retries: Attempts after the first one.
        config: All settings at once; other arguments take precedence over it.
        settings: Any other field of `Config`.

    Raises:
        ConfigurationError: A setting is invalid.
        MissingCredentialsError: The hosted service needs an API key, and none was found.
    """

    def __init__(
        self,
        user_metadata: Mapping[str, str] | None = None,
        project_id: str | None = None,
        *,
        base_url: str | None = None,
        api_key: str | Secret | Callable[[], str | Secret] | None = None,
        tags: Sequence[str] | None = None,
        display_name: str | None = None,
        on_queue_state: QueueObserver | None = None,
        timeout: float | timedelta | None = None,
        max_retries: int | None = None,
        config: Config | None = None,
        transport: Transport | None = None,
        **settings: Any,
    ) -> None:
        self._session: Session | None = None
        self._closed = False
        arguments = {
            **settings,
            "user_metadata": user_metadata,
            "project_id": project_id,
            "base_url": base_url,
            "api_key": api_key,
            "tags": tags,
            "display_name": display_name,
            "timeout": timeout,
            "max_retries": max_retries,
        }
        # A key under a mistyped or wrong name, even one in a URL, would be shown by every traceback
        # through here.
        settings.clear()
        del user_metadata, project_id, base_url, api_key
        self.config = settle(arguments, config)
        self._transport = transport or Transport(with_embedded_server(self.config))
        self._observers = [on_queue_state] if on_queue_state else []
        self._side_by_side = threading.BoundedSemaphore(SIDE_BY_SIDE)
        # Held while a session is created, which may take long: `close` does not wait for it.
        self._beginning = threading.Lock()

    @property
    def base_url(self) -> str:
        """Return the server's URL; for "local", that of the embedded server."""
        return self._transport.config.base_url

    @property
    def console_url(self) -> str | None:
        """Return the address at which a browser shows the runs; None if the server has no such page.

        That of the embedded server ends with a code that lets one browser in, once; each call makes a new
        one. Other servers are asked when the session begins.
        """
        if self.config.is_local:
            return str(embedded_server().console_url)
        return self.session.server_config.console_url

    @property
    def session(self) -> Session:
        """Return the session, creating it on first use."""
        with self._beginning:
            self._check_open()
            if self._session is None:
                session = Session(
                    self._transport, observers=self._observers, report=_report(self.config)
                )
                if self._closed:
                    session.close("interrupted")
                    self._check_open()
                self._session = session
            return self._session

    @property
    def session_id(self) -> str | None:
        """Return the session's id, or None before one has begun."""
        return None if self._session is None else self._session.id

    def renew_session(self) -> Session:
        """Create a new session if the server has ended this one; its models and samplers are lost.

        Checkpoints outlive sessions: `create_training_client_from_state_with_optimizer` continues
        from one.
        """
        ended = self._session
        if ended is not None and not ended.probe():
            with self._beginning:
                self._session = None if self._session is ended else self._session
            ended.close("errored")
        return self.session

    def _check_open(self) -> None:
        if self._closed:
            raise ClientClosedError("this ServiceClient was closed; create a new one")

    @property
    def telemetry(self) -> TelemetryReporter | None:
        """Return the session's telemetry reporter, creating the session; None if telemetry is off.

        >>> with ServiceClient(base_url="local", telemetry=True) as service:
        ...     service.telemetry.log("epoch_done", {"epoch": 3, "loss": 1.25})
        """
        return cast("TelemetryReporter | None", self.session.telemetry)

    def submit(
        self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs
    ) -> StandardFuture[T]:
        """Call a function of this client, or any other, in a new thread.

        >>> a = service.submit(service.create_sampling_client, base_model="tinkex/nano")
        >>> b = service.submit(service.create_lora_training_client, "tinkex/nano", rank=8)
        >>> sampler, training = a.result(), b.result()

        For blocking calls that should run concurrently. Calls that return a `Future` do not need
        it.

        Args:
            function: The function; at most 16 run at a time.
            args: Its arguments.
            kwargs: Its keyword arguments.
        """
        self._check_open()
        result = fail_in_child(StandardFuture[T]())

        def call() -> None:
            with self._side_by_side:
                if not result.set_running_or_notify_cancel():
                    return
                try:
                    value = function(*args, **kwargs)
                except BaseException as error:  # noqa: BLE001 - raised by `result`
                    result.set_exception(error)
                else:
                    result.set_result(value)

        # A daemon thread: a call that hangs must not block the program's exit.
        threading.Thread(target=call, name="tinkex-submit", daemon=True).start()
        return result

    def create_lora_training_client(
        self,
        base_model: str,
        rank: int = 32,
        seed: int | None = None,
        train_mlp: bool = True,
        train_attn: bool = True,
        train_unembed: bool = True,
        user_metadata: Mapping[str, str] | None = None,
        optimizer: str | None = None,
    ) -> TrainingClient:
        """Create a LoRA adapter on a base model and return the client that trains it.

        >>> training = service.create_lora_training_client("Qwen/Qwen3-8B", rank=32)

        Blocks until the server has created the model.

        Args:
            base_model: One of the models of `get_server_capabilities`.
            rank: Rank of the adapter's matrices.
            seed: Seed of the adapter's initial matrices.
            train_mlp: Whether to adapt MLP layers.
            train_attn: Whether to adapt attention layers.
            train_unembed: Whether to adapt the unembedding.
            user_metadata: Key-value pairs stored with the training run.
            optimizer: "adamw" or "dimuon", if the server supports it; None is AdamW.

        Raises:
            ValidationError: An argument is invalid.
            ApiError: The server refuses, for example because it does not have the base model.
        """
        if not isinstance(base_model, str) or not base_model:
            raise ValidationError("must be the name of a model", path="base_model")
        lora = LoraConfig(
            rank=rank,
            seed=seed,
            train_mlp=train_mlp,
            train_attn=train_attn,
            train_unembed=train_unembed,
        )
        return TrainingClient.create(self.session, base_model, lora, user_metadata, optimizer)

    def create_training_client_from_state(
        self,
        path: str,
        user_metadata: Mapping[str, str] | None = None,
        weights_access_token: Secret | str | None = None,
        optimizer: str | None = None,
        **expected: Unpack[ExpectedAdapter],
    ) -> TrainingClient:
        """Create a training client with the weights of a checkpoint and a fresh optimizer.

        The adapter's rank and layers are read from the checkpoint. If loading fails, the new model is
        unloaded again.

        >>> service.create_training_client_from_state("tinker://r/weights/a", rank=32)

        Args:
            path: ``tinker://<run>/weights/<name>``, from `TrainingClient.save_state`.
            user_metadata: Key-value pairs stored with the new training run.
            weights_access_token: The API key of the account that owns the checkpoint, if it is another
                one.
            optimizer: "adamw" or "dimuon"; the checkpoint's by default.
            expected: The required properties of the checkpoint: `base_model`, `rank`, `train_mlp`,
                `train_attn` or `train_unembed`.

        Raises:
            ValidationError: The path does not name a training checkpoint, or the checkpoint differs from
                `expected`; the message shows the differences, and nothing was created.
            NotFoundError: The server does not have the checkpoint.
        """
        weights_access_token = Secret.of(weights_access_token)
        return self._from_state(
            path, False, user_metadata, weights_access_token, expected, optimizer
        )

    def create_training_client_from_state_with_optimizer(
        self,
        path: str,
        user_metadata: Mapping[str, str] | None = None,
        weights_access_token: Secret | str | None = None,
        **expected: Unpack[ExpectedAdapter],
    ) -> TrainingClient:
        """Create a training client that continues exactly where a checkpoint was saved.

        Like `create_training_client_from_state`, with the optimizer's moments and step count.
        """
        weights_access_token = Secret.of(weights_access_token)
        return self._from_state(path, True, user_metadata, weights_access_token, expected)

    def create_sampling_client(
        self,
        model_path: str | None = None,
        base_model: str | None = None,
        retry_config: RetryConfig | None = None,
    ) -> SamplingClient:
        """Return a client that samples from saved weights or from a base model.

        >>> sampler = service.create_sampling_client(base_model="tinkex/tiny-chat")

        Args:
            model_path: ``tinker://<run>/sampler_weights/<name>``, or any path that the server returned.
            base_model: One of the models of `get_server_capabilities`.
            retry_config: Retry and concurrency settings.

        Raises:
            ValidationError: Neither is given.
        """
        return SamplingClient.create(
            self.session, model_path=model_path, base_model=base_model, retry_config=retry_config
        )

    def create_rest_client(self) -> RestClient:
        """Return a client for training runs, checkpoints and sessions; it needs no session."""
        from tinkex.rest import RestClient

        return RestClient(self._transport)

    def get_server_capabilities(self) -> GetServerCapabilitiesResponse:
        """Return the server's models."""
        return self._transport.call(get_server_capabilities.build_request(), read_capabilities)

    def health_check(self) -> HealthResponse:
        """Return the server's health."""
        return self._transport.call(healthz.build_request(), healthz.parse_response)

    def create_custom_loss(
        self, name: str, inputs: Sequence[CustomLossInput], graph: CustomLossGraph
    ) -> str:
        """Upload a loss that was traced into a graph, and return its id.

        >>> loss_id = service.create_custom_loss("mine", inputs, graph)
        >>> training.forward_backward(data, "custom", {"loss_id": loss_id})

        Few servers support this; `TrainingClient.forward_backward_custom` works with all of them.

        Args:
            name: The loss's name, for people.
            inputs: The graph's inputs, log probabilities first (`tinkex.types.CustomLossInput`).
            graph: The operations in order (`tinkex.types.CustomLossGraph`).

        Raises:
            NotFoundError: The server does not support custom losses.
        """
        from tinkex._core.custom_loss_upload import create_custom_loss

        return create_custom_loss(self.session, name, inputs, graph)

    def close(
        self,
        status: Literal["success", "errored", "interrupted"] = "success",
        detail: str | None = None,
    ) -> None:
        """End the session and close every connection; the clients created here are closed too.

        Args:
            status: The outcome of the work.
            detail: An explanation that is stored with the session.
        """
        if self._closed:
            return
        self._closed = True
        if self._session is not None:
            self._session.close(status, detail)
        self._transport.close()

    def _from_state(
        self,
        path: str,
        optimizer: bool,
        user_metadata: Mapping[str, str] | None,
        token: Secret | None,
        expected: Mapping[str, Any],
        optimizer_type: str | None = None,
    ) -> TrainingClient:
        check_training_path(path)
        info = self.create_rest_client().get_weights_info_by_tinker_path(path)
        check_restorable(path, info, expected)
        training = TrainingClient.create(
            self.session,
            info.base_model,
            lora_of(info),
            user_metadata,
            optimizer_type or optimizer_of(info),
        )
        try:
            load = training.load_state_with_optimizer if optimizer else training.load_state
            load(path, token).result()
        except BaseException:
            training.discard()
            raise
        return training

    def __enter__(self) -> Self:
        self._check_open()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        if error is None:
            self.close()
            return
        is_error = isinstance(error, Exception)
        if self._session is not None and self._session.telemetry is not None:
            self._session.telemetry.log_exception(error, "CRITICAL")
        self.close("errored" if is_error else "interrupted")

    def __repr__(self) -> str:
        if not hasattr(self, "_transport"):
            return "<ServiceClient that was not created>"
        session = self._session.id if self._session else "no session yet"
        return f"<ServiceClient {self.base_url} ({session})>"

    def __reduce__(self) -> Any:
        raise TypeError("a ServiceClient cannot be pickled: create one where it is needed")


def _report(config: Config) -> Callable[[Transport, str], TelemetryReporter] | None:
    if not config.telemetry:
        return None
    from tinkex.observability.telemetry import TelemetryReporter

    return TelemetryReporter
