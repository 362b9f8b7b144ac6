"""The client that trains one model."""

from __future__ import annotations

import contextlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tinkex_generated.api.models import get_info, unload_model
from tinkex_generated.api.training import optim_step
from tinkex_generated.api.weights import (
    load_weights,
    save_weights,
    save_weights_external,
    save_weights_for_sampler,
)
from tinkex_generated.models import (
    GetInfoRequest,
    LoadWeightsRequest,
    OptimStepRequest,
    SaveWeightsExternalRequest,
    SaveWeightsForSamplerRequest,
    SaveWeightsRequest,
    UnloadModelRequest,
)
from tinkex_generated.types import Request

from tinkex._base.secret import Secret
from tinkex._core.batches import Operation, submit_batch
from tinkex._core.checks import (
    check_observer,
    check_training_path,
    checked_metadata,
    checked_name,
    checked_settings,
    checked_ttl,
)
from tinkex._core.futures import Future
from tinkex._core.model_creation import create_model, outcome
from tinkex._core.polling import Work
from tinkex._core.queue_state import QueueObserver
from tinkex._core.session import Session
from tinkex._core.submission import LookUp, NameLookup, SubmissionQueue, future
from tinkex._core.wire import encode
from tinkex.errors import DecodeError, NotFoundError, TinkexError, ValidationError
from tinkex.sampling import RetryConfig, SamplingClient
from tinkex.types import (
    AdamParams,
    Datum,
    DimuonParams,
    ForwardBackwardOutput,
    GetInfoResponse,
    LoadWeightsResponse,
    LoraConfig,
    OptimStepResponse,
    SaveWeightsExternalResponse,
    SaveWeightsForSamplerResponse,
    SaveWeightsResponse,
    UnloadModelResponse,
)

if TYPE_CHECKING:
    from tinkex.losses import Backend, LossFunction
    from tinkex.regularizers import RegularizerSpec
    from tinkex.tokenizer import Tokenizer

T = TypeVar("T")

# Seconds for the look-up of a model while an error is being reported.
DISCARD_TIMEOUT = 10.0

SamplingClientKind = Literal["snapshot", "inflight"]


class TrainingClient:
    """One model in training: gradients, optimizer steps, checkpoints.

    Created by `ServiceClient.create_lora_training_client`. Asynchronous calls send their request at
    once, in order, and return a `Future`; so a complete step can be in flight before the first
    result is awaited:

    >>> gradients = training.forward_backward(data, "cross_entropy")
    >>> step = training.optim_step(AdamParams(learning_rate=1e-4))
    >>> loss = gradients.result().loss

    Attributes:
        model_id: The server's id of the model and of its training run.
        base_model: The model that the adapter belongs to.
    """

    def __init__(self, session: Session, model_id: str, base_model: str | None = None) -> None:
        self._session = session
        self._queue = SubmissionQueue(session)
        self.model_id = model_id
        self.base_model = base_model

    @classmethod
    def create(
        cls,
        session: Session,
        base_model: str,
        lora: LoraConfig,
        user_metadata: Mapping[str, str] | None = None,
        optimizer: str | None = None,
    ) -> TrainingClient:
        """Create the model on the server and wait for it."""
        model_id = create_model(session, base_model, lora, user_metadata, optimizer)
        return cls(session, model_id, base_model)

    def forward(
        self,
        data: Sequence[Datum],
        loss_fn: str,
        loss_fn_config: Mapping[str, float | str] | None = None,
        *,
        queue_state_observer: QueueObserver | None = None,
    ) -> Future[ForwardBackwardOutput]:
        """Compute the loss and log probabilities of data, without gradients.

        Takes the arguments and raises the errors of `forward_backward`.
        """
        return self._submit_data("forward", data, loss_fn, loss_fn_config, queue_state_observer)

    def forward_backward(
        self,
        data: Sequence[Datum],
        loss_fn: str,
        loss_fn_config: Mapping[str, float | str] | None = None,
        *,
        queue_state_observer: QueueObserver | None = None,
    ) -> Future[ForwardBackwardOutput]:
        """Compute the gradients of a loss and add them to the model's accumulated gradients.

        >>> training.forward_backward(data, "cross_entropy").result().metrics["loss:sum"]

        A large batch is sent in parts; the result is the same as for one request. Losses are sums
        over tokens and data, so the gradients of several calls add up until `optim_step`.

        Args:
            data: At least one datum.
            loss_fn: cross_entropy, importance_sampling, ppo, cispo, dro, gspo, …, or any other loss
                that the server has.
            loss_fn_config: Numbers by name, such as ``{"clip_low_threshold": 0.8}``.
            queue_state_observer: Called with a `QueueStateChange` when the server pauses or resumes the
                request, on the polling thread; it must not block. The other calls take it too.

        Raises:
            ValidationError: The data or the loss is invalid; nothing was sent.
            ApiError: The server refused the request.
            TransportError: No response came; making the same call again is safe.
        """
        return self._submit_data(
            "forward_backward", data, loss_fn, loss_fn_config, queue_state_observer
        )

    def forward_backward_custom(
        self,
        data: Sequence[Datum],
        loss_fn: LossFunction,
        regularizers: Sequence[RegularizerSpec] = (),
        backend: Backend | None = None,
        *,
        queue_state_observer: QueueObserver | None = None,
    ) -> Future[ForwardBackwardOutput]:
        """Compute the gradients of a custom loss and add them to the accumulated gradients.

        >>> def nll(data, logprobs):
        ...     loss = -sum(lp.sum() for lp in logprobs)
        ...     return loss, {"nll": loss}
        >>> gradients = training.forward_backward_custom(data, nll)

        Unlike the other calls it blocks, for a forward pass and for the loss. The backward pass is in
        flight when it returns, so an `optim_step` that is submitted next is applied after it. During
        the call, other threads' calls on this client wait, so the loss must not wait for one.

        Args:
            data: Each with `target_tokens`; all other tensors are for the loss alone.
            loss_fn: Takes data and log probabilities (an array per datum, with the shape of its targets)
                and returns ``(loss, metrics)`` or ``(loss, metrics, gradients)``.
            regularizers: Terms to add to the loss.
            backend: "torch", "jax", "autograd" or "explicit": the source of the gradient. None infers
                it from the code; see `tinkex.losses.evaluate`.
            queue_state_observer: As for `forward_backward`; of both passes.

        Returns:
            The result of the backward pass. Its ``loss:sum`` is the custom loss; the server's own is
            ``surrogate_loss:sum``. Metrics of the loss take precedence.

        Raises:
            ValidationError: The data, the loss or its gradients are invalid; the path names the
                datum, and no backward pass was sent.
            TinkexError: As for `forward_backward`.
        """
        from tinkex.regularizers.custom_step import CustomStep, SurrogateWork

        step = CustomStep.of(data, loss_fn, regularizers, backend)
        with (
            self._session.operation("forward_backward_custom", self.base_model),
            self._queue.turn(),
        ):
            result = self.forward(
                step.forward_data(), "cross_entropy", queue_state_observer=queue_state_observer
            ).result()
            surrogate = step.backward(result)
            work = self._sent(
                lambda: submit_batch(
                    self._queue,
                    self.model_id,
                    "forward_backward",
                    surrogate.data,
                    surrogate.loss_fn,
                )
            )
            return self._promised(
                SurrogateWork(work, surrogate), "forward_backward_custom", queue_state_observer
            )

    def optim_step(
        self,
        adam_params: AdamParams | DimuonParams | None = None,
        *,
        queue_state_observer: QueueObserver | None = None,
    ) -> Future[OptimStepResponse]:
        """Apply the accumulated gradients, and clear them.

        >>> training.optim_step(AdamParams(learning_rate=1e-4, grad_clip_norm=1.0)).result().metrics

        Args:
            adam_params: The step's settings; None uses AdamW's defaults. Use `DimuonParams` for a
                model that was created with ``optimizer="dimuon"``.
            queue_state_observer: As for `forward_backward`.
        """
        if _is_dimuon(adam_params):
            dimuon = checked_settings(adam_params, DimuonParams, "adam_params")
            settings: dict[str, Any] = {"optimizer_params": encode.dimuon_params(dimuon)}
        else:
            checked = checked_settings(adam_params, AdamParams, "adam_params")
            settings = {"adam_params": encode.adam_params(checked)}
        return self._submit(
            "optim_step",
            "OptimStep",
            lambda seq: optim_step.build_request(
                body=OptimStepRequest(model_id=self.model_id, seq_id=seq, **settings)
            ),
            OptimStepResponse.from_dict,
            queue_state_observer=queue_state_observer,
        )

    def train_step(
        self,
        data: Sequence[Datum],
        loss_fn: str,
        adam_params: AdamParams | DimuonParams | None = None,
        loss_fn_config: Mapping[str, float | str] | None = None,
        *,
        queue_state_observer: QueueObserver | None = None,
    ) -> tuple[Future[ForwardBackwardOutput], Future[OptimStepResponse]]:
        """Send forward_backward and optim_step back to back, within one cycle of the service.

        >>> output, step = training.train_step(data, "cross_entropy", AdamParams(learning_rate=1e-4))
        >>> output.result().loss

        No other thread's request on this client is sent in between. Takes the arguments of both calls.

        Raises:
            ValidationError: Data, loss or settings are invalid; neither request was sent.
            TinkexError: As for `forward_backward`. If only the optim_step fails, its error says so: the
                gradients are accumulated, so call `optim_step` again.
        """
        if not _is_dimuon(adam_params):
            checked_settings(adam_params, AdamParams, "adam_params")
        with self._queue.turn():
            output = self.forward_backward(
                data, loss_fn, loss_fn_config, queue_state_observer=queue_state_observer
            )
            try:
                return output, self.optim_step(
                    adam_params, queue_state_observer=queue_state_observer
                )
            except TinkexError as error:
                error.message += (
                    ". The forward_backward before it was accepted and its gradients are kept: call "
                    "optim_step alone"
                )
                raise

    def get_info(self) -> GetInfoResponse:
        """Return the server's description of the model: base model, rank, tokenizer id.

        Raises:
            SessionLostError: The server ended the session.
            NotFoundError: The server does not have the model.
        """
        self._session.check()
        return self._session.transport.call(
            get_info.build_request(body=GetInfoRequest(model_id=self.model_id)),
            get_info.parse_response,
        )

    def get_tokenizer(self) -> Tokenizer:
        """Return the tokenizer of the base model.

        Raises:
            TokenizerError: It was not found; the message lists where tinkex looked.
        """
        from tinkex.tokenizer import get_tokenizer

        model, tokenizer_id = self.base_model, None
        try:
            info = self.get_info()
            model = info.model_data.model_name or model
            tokenizer_id = info.model_data.tokenizer_id or None
        except NotFoundError:
            # The server lacks the route; the base model's name is sufficient.
            if not model:
                raise
        named = model or tokenizer_id
        if not named:
            raise TinkexError("the server names no model for this run, so its tokenizer is unknown")
        return get_tokenizer(named, transport=self._session.transport, tokenizer_id=tokenizer_id)

    def save_state(
        self,
        name: str,
        ttl_seconds: int | None = None,
        overwrite: bool = False,
        user_metadata: Mapping[str, str] | None = None,
        *,
        queue_state_observer: QueueObserver | None = None,
    ) -> Future[SaveWeightsResponse]:
        """Save weights and optimizer state, to resume training later.

        >>> path = training.save_state("step-100").result().path

        Args:
            name: A name that the run does not use yet.
            ttl_seconds: Seconds after which the server deletes the checkpoint; None keeps it.
            overwrite: Whether to replace a checkpoint of that name.
            user_metadata: Key-value pairs stored with the checkpoint.
            queue_state_observer: As for `forward_backward`.

        Raises:
            ValidationError: An argument is invalid; nothing was sent.
            ApiError: The server refused the request.
            TransportError: No response came; making the same call again is safe.
        """
        path, ttl = checked_name(name), checked_ttl(ttl_seconds)
        metadata = checked_metadata(user_metadata)
        return self._submit(
            "save_state",
            "SaveWeights",
            lambda seq: save_weights.build_request(
                body=SaveWeightsRequest(
                    model_id=self.model_id,
                    path=path,
                    seq_id=seq,
                    ttl_seconds=ttl,
                    overwrite=overwrite,
                    user_metadata=metadata,
                )
            ),
            SaveWeightsResponse.from_dict,
            self._look_up(f"weights/{path}", SaveWeightsResponse),
            queue_state_observer,
        )

    def load_state(
        self,
        path: str,
        weights_access_token: Secret | str | None = None,
        *,
        queue_state_observer: QueueObserver | None = None,
    ) -> Future[LoadWeightsResponse]:
        """Load a checkpoint's weights; resets the optimizer and drops gradients.

        Servers may accept this only as a model's first request. To resume from a checkpoint later, use
        `ServiceClient.create_training_client_from_state`.

        Args:
            path: ``tinker://<run>/weights/<name>``.
            weights_access_token: The API key of the account that owns the checkpoint, if it is another
                one.
            queue_state_observer: As for `forward_backward`.
        """
        weights_access_token = Secret.of(weights_access_token)
        return self._load(path, weights_access_token, queue_state_observer, optimizer=False)

    def load_state_with_optimizer(
        self,
        path: str,
        weights_access_token: Secret | str | None = None,
        *,
        queue_state_observer: QueueObserver | None = None,
    ) -> Future[LoadWeightsResponse]:
        """Load a checkpoint's weights and its optimizer state.

        Takes the arguments of `load_state`.
        """
        weights_access_token = Secret.of(weights_access_token)
        return self._load(path, weights_access_token, queue_state_observer, optimizer=True)

    def save_weights_for_sampler(
        self,
        name: str,
        ttl_seconds: int | None = None,
        user_metadata: Mapping[str, str] | None = None,
        *,
        queue_state_observer: QueueObserver | None = None,
    ) -> Future[SaveWeightsForSamplerResponse]:
        """Save weights under a name, for sampling and download.

        >>> path = training.save_weights_for_sampler("final").result().path

        Args:
            name: A name that the run does not use yet.
            ttl_seconds: Seconds after which the server deletes the checkpoint; None keeps it.
            user_metadata: Key-value pairs stored with the checkpoint.
            queue_state_observer: As for `forward_backward`.
        """
        return self._save_for_sampler(
            path=checked_name(name),
            ttl_seconds=checked_ttl(ttl_seconds),
            user_metadata=checked_metadata(user_metadata),
            queue_state_observer=queue_state_observer,
        )

    def save_weights_external(
        self,
        name: str,
        ttl_seconds: int | None = None,
        age_encryption_recipients: Sequence[str] | None = None,
        *,
        queue_state_observer: QueueObserver | None = None,
    ) -> Future[SaveWeightsExternalResponse]:
        """Export weights as files, for download with `RestClient.get_external_weights_urls`.

        >>> exported = training.save_weights_external("export").result()
        >>> urls = rest.get_external_weights_urls(exported.path).urls

        Not every server supports this.

        Args:
            name: A name that the run does not use yet.
            ttl_seconds: Seconds after which the server deletes the files; None keeps them.
            age_encryption_recipients: Public keys (``age1…`` or SSH) to encrypt the files for, at most
                10.
            queue_state_observer: As for `forward_backward`.
        """
        path, ttl = checked_name(name), checked_ttl(ttl_seconds)
        recipients = None
        if age_encryption_recipients is not None:
            recipients = list(age_encryption_recipients)
            if isinstance(age_encryption_recipients, str) or not 1 <= len(recipients) <= 10:
                raise ValidationError(
                    "must be a list of 1 to 10 public keys", path="age_encryption_recipients"
                )
        return self._submit(
            "save_weights_external",
            "SaveWeightsExternal",
            lambda seq: save_weights_external.build_request(
                body=SaveWeightsExternalRequest(
                    model_id=self.model_id,
                    path=path,
                    seq_id=seq,
                    ttl_seconds=ttl,
                    age_encryption_recipients=recipients,
                )
            ),
            SaveWeightsExternalResponse.from_dict,
            _unknown,
            queue_state_observer,
        )

    def save_weights_and_get_sampling_client(
        self,
        name: str | None = None,
        retry_config: RetryConfig | None = None,
        kind: SamplingClientKind = "snapshot",
        ttl_seconds: int | None = None,
    ) -> SamplingClient:
        """Return a client that samples from the current weights.

        >>> sampler = training.save_weights_and_get_sampling_client()

        Blocks until the server has the snapshot. Without a name, the snapshot lasts as long as the
        session.

        Args:
            name: Saves the snapshot as a checkpoint of that name.
            retry_config: Retry and concurrency settings.
            kind: "snapshot" fixes the weights; "inflight" follows later saves of this kind, on
                servers that support it.
            ttl_seconds: Seconds after which the server deletes a named checkpoint; None keeps it.
        """
        if kind not in ("snapshot", "inflight"):
            raise ValidationError(f"must be 'snapshot' or 'inflight', not {kind!r}", path="kind")
        if name is not None:
            if kind != "snapshot":
                raise ValidationError("a named checkpoint is always a snapshot", path="kind")
            saved = self.save_weights_for_sampler(name, ttl_seconds).result()
        else:
            if ttl_seconds is not None:
                raise ValidationError(
                    "requires a name; without one the snapshot ends with the session",
                    path="ttl_seconds",
                )
            number = self._session.next_sampler_number()
            saved = self._save_for_sampler(sampling_session_seq_id=number, kind=kind).result()
        if saved.sampling_session_id:
            return SamplingClient(
                self._session,
                saved.sampling_session_id,
                base_model=self.base_model,
                model_path=saved.path,
                retry_config=retry_config,
            )
        if not saved.path:
            raise DecodeError(
                "save_weights_for_sampler returned neither a path nor a sampling session"
            )
        return self.create_sampling_client(saved.path, retry_config)

    def create_sampling_client(
        self, model_path: str, retry_config: RetryConfig | None = None
    ) -> SamplingClient:
        """Return a client that samples from saved weights.

        Args:
            model_path: ``tinker://<run>/sampler_weights/<name>``.
            retry_config: Retry and concurrency settings.
        """
        return SamplingClient.create(
            self._session, model_path=model_path, base_model=None, retry_config=retry_config
        )

    def _load(
        self, path: str, token: Secret | None, observer: QueueObserver | None, *, optimizer: bool
    ) -> Future[LoadWeightsResponse]:
        check_training_path(path)
        reveal = self._session.transport.revealed
        return self._submit(
            "load_state",
            "LoadWeights",
            lambda seq: load_weights.build_request(
                body=LoadWeightsRequest(
                    path=path,
                    optimizer=optimizer,
                    model_id=self.model_id,
                    seq_id=seq,
                    weights_access_token=reveal(token),
                )
            ),
            LoadWeightsResponse.from_dict,
            queue_state_observer=observer,
        )

    def _save_for_sampler(
        self,
        path: str | None = None,
        ttl_seconds: int | None = None,
        user_metadata: dict[str, str] | None = None,
        sampling_session_seq_id: int | None = None,
        kind: SamplingClientKind = "snapshot",
        queue_state_observer: QueueObserver | None = None,
    ) -> Future[SaveWeightsForSamplerResponse]:
        return self._submit(
            "save_weights_for_sampler",
            "SaveWeightsForSampler",
            lambda seq: save_weights_for_sampler.build_request(
                body=SaveWeightsForSamplerRequest(
                    model_id=self.model_id,
                    path=path,
                    sampling_session_seq_id=sampling_session_seq_id,
                    seq_id=seq,
                    ttl_seconds=ttl_seconds,
                    user_metadata=user_metadata,
                    kind=kind,
                )
            ),
            SaveWeightsForSamplerResponse.from_dict,
            None
            if path is None
            else self._look_up(f"sampler_weights/{path}", SaveWeightsForSamplerResponse),
            queue_state_observer,
        )

    def _look_up(self, checkpoint_id: str, result: Callable[..., Any]) -> LookUp:
        def look_up(seconds: float) -> Awaitable[NameLookup]:
            # Loads a date parser, which most programs never need.
            from tinkex._core.checkpoint_lookup import look_up_save

            return look_up_save(self._session, self.model_id, checkpoint_id, seconds, result)

        return look_up

    def unload_model(self) -> Future[UnloadModelResponse]:
        """Free the model on the server and close this client; unsaved weights are lost."""
        with self._session.operation("unload_model", self.base_model):
            response = self._session.transport.send(self._unload())
            self._queue.close()
            unloaded: Future[UnloadModelResponse] = outcome(
                self._session,
                response,
                "unload_model",
                "UnloadModel",
                UnloadModelResponse.from_dict,
                self.model_id,
            )
            return unloaded

    def discard(self) -> None:
        """Unload the model, best effort: one attempt, and failures are ignored."""
        with contextlib.suppress(TinkexError):
            self._session.transport.send_once(self._unload(), timeout=DISCARD_TIMEOUT)
        self._queue.close()

    def _unload(self) -> Request:
        return unload_model.build_request(body=UnloadModelRequest(model_id=self.model_id))

    def _submit_data(
        self,
        operation: Operation,
        data: Sequence[Datum],
        loss_fn: str,
        loss_fn_config: Mapping[str, float | str] | None,
        queue_state_observer: QueueObserver | None,
    ) -> Future[ForwardBackwardOutput]:
        return self._start(
            operation,
            lambda: submit_batch(
                self._queue, self.model_id, operation, data, loss_fn, loss_fn_config
            ),
            queue_state_observer,
        )

    def _submit(
        self,
        operation: str,
        request_type: str,
        build: Callable[[int], Request],
        parse: Callable[[Mapping[str, Any]], Any],
        look_up: LookUp | None = None,
        queue_state_observer: QueueObserver | None = None,
    ) -> Future[Any]:
        return self._start(
            operation,
            lambda: self._queue.submit(
                [build], request_type=request_type, parse=parse, look_up=look_up
            ),
            queue_state_observer,
        )

    def _start(
        self, operation: str, send: Callable[[], Work[T]], observer: QueueObserver | None
    ) -> Future[T]:
        check_observer(observer)
        with self._session.operation(operation, self.base_model):
            try:
                work = self._sent(send)
            except TinkexError as error:
                # Frames of chunking and sending are no use to the user.
                raise error.with_traceback(None) from None
            return self._promised(work, operation, observer)

    def _sent(self, send: Callable[[], Work[T]]) -> Work[T]:
        """Send a request; a subclass may send it again."""
        return send()

    def _promised(self, work: Work[T], operation: str, observer: QueueObserver | None) -> Future[T]:
        """Return the future of what was sent; a subclass may take note of it."""
        return future(self._session, work, operation, self.model_id, observer)

    def __repr__(self) -> str:
        return f"<TrainingClient {self.model_id} on {self.base_model or 'an unknown base model'}>"

    def __reduce__(self) -> Any:
        raise TypeError("a TrainingClient cannot be pickled: its requests are numbered in order")


def _is_dimuon(params: object) -> bool:
    """Return whether a step's settings are Dimuon's, of ours or of another package's class."""
    return isinstance(params, DimuonParams) or getattr(params, "type", None) == "dimuon"


async def _unknown(seconds: float) -> NameLookup:
    """Return an empty look-up for an export: no route lists exports."""
    del seconds
    return NameLookup(is_taken=None)
