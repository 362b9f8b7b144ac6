"""The client that samples from one set of weights."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Generator, Iterable
from typing import TYPE_CHECKING, Any, Literal, overload
from weakref import WeakValueDictionary

from attrs import evolve, frozen
from tinkex_generated.api.sampling import get_sampler
from tinkex_generated.api.sessions import create_sampling_session
from tinkex_generated.models import CreateSamplingSessionRequest, SampleRequest

from tinkex._base.secret import Secret
from tinkex._core.checks import (
    check_observer,
    check_sampling_path,
    checked_count,
    checked_prompt,
    checked_settings,
)
from tinkex._core.futures import Future
from tinkex._core.queue_state import QueueObserver
from tinkex._core.sample_many import sample_each
from tinkex._core.sample_stream import stream
from tinkex._core.sampling import (
    RetryConfig,
    Sample,
    SamplerState,
    prompt_logprobs,
    with_first_token,
)
from tinkex._core.session import Session
from tinkex._core.submission import future
from tinkex._core.transport import Transport
from tinkex._core.wire import encode
from tinkex.config import settle
from tinkex.errors import ValidationError
from tinkex.types import (
    ModelInput,
    SampleResponse,
    SampleStreamChunk,
    SamplingParams,
    TensorData,
)
from tinkex.types.outputs import Decoder, decoded_by

if TYPE_CHECKING:
    from tinkex.tokenizer import Tokenizer

__all__ = ["RetryConfig", "SamplerHandle", "SamplingClient"]


@frozen(kw_only=True)
class SamplerHandle:
    """A sampler's description for other processes, without the key.

    Attributes:
        base_url: The server's URL.
        session_id: The session that the sampler belongs to.
        sampling_session_id: The server's name of the weights in this session.
        base_model: The base model, if it is known.
        model_path: The checkpoint, if it is one.
        retry_config: How patient samples are.
    """

    base_url: str
    session_id: str
    sampling_session_id: str
    base_model: str | None = None
    model_path: str | None = None
    retry_config: RetryConfig | None = None


class SamplingClient:
    """A client that samples from a checkpoint or a base model.

    Created by `ServiceClient.create_sampling_client` or
    `TrainingClient.save_weights_and_get_sampling_client`. `sample` returns at once, so many samples can
    be in flight:

    >>> futures = [sampler.sample(prompt, 1, params) for prompt in prompts]
    >>> texts = [tokenizer.decode(f.result().sequences[0].tokens) for f in futures]

    Attributes:
        sampling_session_id: The server's id of these weights in this session.
        model_path: The checkpoint, or None for a base model.
    """

    def __init__(
        self,
        session: Session,
        sampling_session_id: str,
        *,
        base_model: str | None = None,
        model_path: str | None = None,
        retry_config: RetryConfig | None = None,
        is_copy: bool = False,
    ) -> None:
        self._session = session
        self._state = SamplerState(
            session,
            sampling_session_id,
            checked_settings(retry_config, RetryConfig, "retry_config"),
            is_copy=is_copy,
        )
        self._decoder = Decoder(self.get_tokenizer)
        self._base_model = base_model
        self.sampling_session_id = sampling_session_id
        self.model_path = model_path

    @classmethod
    def create(
        cls,
        session: Session,
        *,
        model_path: str | None,
        base_model: str | None,
        retry_config: RetryConfig | None = None,
    ) -> SamplingClient:
        """Open a sampling session on the server."""
        if not model_path and not base_model:
            raise ValidationError("either model_path or base_model must be given")
        if model_path:
            check_sampling_path(model_path)
        checked_settings(retry_config, RetryConfig, "retry_config")
        session.check()
        response = session.transport.call(
            create_sampling_session.build_request(
                body=CreateSamplingSessionRequest(
                    session_id=session.id,
                    sampling_session_seq_id=session.next_sampler_number(),
                    base_model=base_model,
                    model_path=model_path,
                )
            ),
            create_sampling_session.parse_response,
        )
        return cls(
            session,
            response.sampling_session_id,
            base_model=base_model,
            model_path=model_path,
            retry_config=retry_config,
        )

    def sample(
        self,
        prompt: ModelInput,
        num_samples: int = 1,
        sampling_params: SamplingParams | None = None,
        include_prompt_logprobs: bool = False,
        topk_prompt_logprobs: int = 0,
        *,
        topk_sample_logprobs: int = 0,
        target_prompt_logprobs: Any = None,
        prompt_alt_tokens_k: int = 0,
        prompt_logprobs_last_n: int | None = None,
        record_stability_info: bool | None = None,
        queue_state_observer: QueueObserver | None = None,
    ) -> Future[SampleResponse]:
        """Sample continuations of a prompt.

        >>> sampler.sample(prompt, 4, SamplingParams(max_tokens=64)).result().sequences[0].tokens

        Returns at once; the request is sent when a slot is free. Samples are not ordered relative to
        each other.

        Args:
            prompt: The prompt.
            num_samples: The number of continuations.
            sampling_params: Sampling settings.
            include_prompt_logprobs: Also return the log probability of each prompt token.
            topk_prompt_logprobs: Also return this many likeliest tokens at each prompt position.
            topk_sample_logprobs: Also return this many likeliest tokens at each sampled position.
            target_prompt_logprobs: Token ids, int64 of shape [len(prompt) - 1, K], whose log
                probabilities at each prompt position are returned too; -1 skips a cell.
            prompt_alt_tokens_k: Also return this many alternatives at each prompt position.
            prompt_logprobs_last_n: Return prompt log probabilities of the last tokens only.
            record_stability_info: Ask the server to record what `stable_reinforce` needs.
            queue_state_observer: Called with a `QueueStateChange` when the server pauses or resumes the
                request, on the polling thread; it must not block.

        The keyword-only arguments before the last are recent additions. A server that does not support
        one omits its results, which are then None.

        Raises:
            ValidationError: An argument is invalid; nothing is sent.
        """
        last_n = prompt_logprobs_last_n
        if last_n is not None:
            last_n = checked_count(last_n, "prompt_logprobs_last_n", 1)
            if not include_prompt_logprobs:
                raise ValidationError(
                    "needs include_prompt_logprobs=True", path="prompt_logprobs_last_n"
                )
        prompt = checked_prompt(prompt)
        body = self._body(
            prompt,
            sampling_params,
            num_samples,
            prompt_logprobs=bool(include_prompt_logprobs),
            topk_prompt_logprobs=checked_count(topk_prompt_logprobs, "topk_prompt_logprobs", 0),
            topk_sample_logprobs=checked_count(topk_sample_logprobs, "topk_sample_logprobs", 0),
            target_prompt_logprobs=_targets(prompt, target_prompt_logprobs),
            prompt_alt_tokens_k=checked_count(prompt_alt_tokens_k, "prompt_alt_tokens_k", 0),
            prompt_logprobs_last_n=last_n,
            record_stability_info=record_stability_info,
        )
        # Of the last positions alone, none is the first token's.
        read = with_first_token(prompt) if last_n is None else _unchanged
        decoder = self._decoder
        return self._begin(
            "sample",
            body,
            prompt,
            lambda response: decoded_by(read(response), decoder),
            queue_state_observer,
        )

    @overload
    def sample_many(
        self,
        prompts: Iterable[ModelInput],
        num_samples: int = ...,
        sampling_params: SamplingParams | None = ...,
        *,
        max_in_flight: int | None = ...,
        return_exceptions: Literal[False] = ...,
        **asked: Any,
    ) -> Generator[tuple[int, SampleResponse], None, None]: ...

    @overload
    def sample_many(
        self,
        prompts: Iterable[ModelInput],
        num_samples: int = ...,
        sampling_params: SamplingParams | None = ...,
        *,
        max_in_flight: int | None = ...,
        return_exceptions: Literal[True],
        **asked: Any,
    ) -> Generator[tuple[int, SampleResponse | Exception], None, None]: ...

    def sample_many(
        self,
        prompts: Iterable[ModelInput],
        num_samples: int = 1,
        sampling_params: SamplingParams | None = None,
        *,
        max_in_flight: int | None = None,
        return_exceptions: bool = False,
        **asked: Any,
    ) -> Generator[tuple[int, Any], None, None]:
        """Sample continuations of many prompts, and yield each result as soon as it is available.

        >>> for index, response in sampler.sample_many(prompts, 4, SamplingParams(max_tokens=64)):
        ...     print(prompts[index], response.sequences[0].tokens)

        Prompts may be any iterable, even an infinite one: they are taken as slots become free. When the
        loop is left early (the iterator is closed or garbage-collected), pending samples are cancelled, on
        the server as well if it supports that.

        Args:
            prompts: The prompts.
            num_samples: The number of continuations of each prompt.
            sampling_params: Sampling settings.
            max_in_flight: Most concurrent requests; None uses the server's limit.
            return_exceptions: Yield an error in place of a response and continue, instead of raising
                it and cancelling the rest.
            asked: Further arguments of `sample`.

        Yields:
            (index of the prompt, response), in the order of completion.

        Raises:
            ValidationError: An argument is invalid.
            TinkexError: As for `sample`, raised when the loop reaches that result.
        """
        most = self._session.limits.samples_in_flight if max_in_flight is None else max_in_flight
        return sample_each(
            self._session,
            prompts,
            lambda prompt: self.sample(prompt, num_samples, sampling_params, **asked),
            checked_count(most, "max_in_flight", 1),
            return_exceptions,
        )

    def sample_stream(
        self,
        prompt: ModelInput,
        sampling_params: SamplingParams | None = None,
        num_samples: int = 1,
    ) -> Generator[SampleStreamChunk, None, None]:
        """Yield the tokens of continuations as they are computed.

        >>> for chunk in sampler.sample_stream(prompt, SamplingParams(max_tokens=64)):
        ...     print(chunk.token or "", end="", flush=True)

        A chunk with a `token_id` is a token; one with a `finish_reason` ends the sequence of its
        `index`. The request is sent when the first chunk is requested, and never repeated. To stop
        early, leave the loop and call `close()` on the iterator (or drop it): the connection is closed,
        and the server stops computing. Not every server supports streaming.

        Args:
            prompt: The prompt.
            sampling_params: Sampling settings.
            num_samples: The number of continuations; their tokens are interleaved.

        Raises:
            ValidationError: An argument is invalid; nothing is sent.
            NotFoundError: The server does not support streaming; use `sample`.
            RequestFailedError: Sampling failed during the stream.
            TransportError: The connection broke before the last token.
        """
        prompt = checked_prompt(prompt)
        body = evolve(
            self._body(prompt, sampling_params, num_samples), seq_id=self._state.next_number()
        )
        model = self._base_model or self.model_path
        return stream(self._session, body, prompt.known_length() or 0, model)

    def compute_logprobs(
        self,
        prompt: ModelInput,
        prompt_logprobs_last_n: int | None = None,
        *,
        queue_state_observer: QueueObserver | None = None,
    ) -> Future[list[float | None]]:
        """Compute the log probability of each token of a text under these weights.

        >>> sampler.compute_logprobs(ModelInput.from_ints([1, 2, 3])).result()
        [None, -2.25, -0.5]

        The first is None: it has no context.

        Args:
            prompt: The text.
            prompt_logprobs_last_n: Compute those of the last tokens only; the others are None.
            queue_state_observer: As for `sample`.
        """
        last_n = prompt_logprobs_last_n
        if last_n is not None:
            last_n = checked_count(last_n, "prompt_logprobs_last_n", 1)
        prompt = checked_prompt(prompt)
        body = self._body(
            prompt,
            SamplingParams(max_tokens=1),
            1,
            prompt_logprobs=True,
            prompt_logprobs_last_n=last_n,
        )
        return self._begin(
            "compute_logprobs", body, prompt, prompt_logprobs(prompt), queue_state_observer
        )

    def _body(
        self,
        prompt: ModelInput,
        sampling_params: SamplingParams | None,
        num_samples: int,
        **asked: Any,
    ) -> SampleRequest:
        """Return the request without its number, after validation."""
        settings = checked_settings(sampling_params, SamplingParams, "sampling_params")
        body = SampleRequest(
            prompt=encode.model_input(prompt),
            sampling_params=encode.sampling_params(settings),
            num_samples=checked_count(num_samples, "num_samples", 1),
            sampling_session_id=self.sampling_session_id,
            **asked,
        )
        self._session.check()
        return body

    def _begin(
        self,
        operation: str,
        body: SampleRequest,
        prompt: ModelInput,
        read: Callable[[Any], Any],
        observer: QueueObserver | None,
    ) -> Future[Any]:
        check_observer(observer)
        sample = Sample(self._session, self._state, body, prompt, read)
        with self._session.operation(operation, self._base_model or self.model_path):
            return future(self._session, sample, operation, self.sampling_session_id, observer)

    def get_base_model(self) -> str:
        """Return the name of the base model under these weights."""
        if self._base_model is None:
            response = self._session.transport.call(
                get_sampler.build_request(sampler_id=self.sampling_session_id),
                get_sampler.parse_response,
            )
            self._base_model = response.base_model
        return self._base_model

    def get_tokenizer(self) -> Tokenizer:
        """Return the tokenizer of the base model."""
        from tinkex.tokenizer import get_tokenizer

        return get_tokenizer(self.get_base_model(), transport=self._session.transport)

    def __repr__(self) -> str:
        return f"<SamplingClient {self.model_path or self._base_model or self.sampling_session_id}>"

    def handle(self) -> SamplerHandle:
        """Return what another process needs to sample from the same weights: all but the key."""
        return SamplerHandle(
            base_url=self._session.transport.config.base_url,
            session_id=self._session.id,
            sampling_session_id=self.sampling_session_id,
            base_model=self._base_model,
            model_path=self.model_path,
            retry_config=self._state.retry_config,
        )

    @classmethod
    def from_handle(
        cls,
        handle: SamplerHandle,
        *,
        api_key: str | Secret | Callable[[], str | Secret] | None = None,
    ) -> SamplingClient:
        """Return a client for the sampler of another process.

        >>> copy = SamplingClient.from_handle(sampler.handle(), api_key="tml-local")

        That process keeps the session alive, and ends it; settings come from this process's
        environment.

        Args:
            handle: From `handle`. A client that was pickled is restored the same way.
            api_key: The credential; None takes that of the environment.

        Raises:
            MissingCredentialsError: There is no API key.
        """
        return cls(
            _joined_session(handle.base_url, handle.session_id, api_key),
            handle.sampling_session_id,
            base_model=handle.base_model,
            model_path=handle.model_path,
            retry_config=handle.retry_config,
            is_copy=True,
        )

    def __reduce__(self) -> Any:
        return SamplingClient.from_handle, (self.handle(),)


# One for all samplers of a session that come to this process.
_joined: WeakValueDictionary[tuple[int, str, str], Session] = WeakValueDictionary()
_joining = threading.Lock()


def _joined_session(base_url: str, session_id: str, api_key: Any) -> Session:
    """Return a session that another process began, over connections of this one."""
    key = (os.getpid(), base_url, session_id)
    with _joining:
        session = _joined.get(key) if api_key is None else None
        if session is None:
            config = settle({"base_url": base_url, "api_key": api_key})
            session = Session(Transport(config), joined=session_id)
            if api_key is None:
                _joined[key] = session
        return session


def _unchanged(response: SampleResponse) -> SampleResponse:
    return response


def _targets(prompt: ModelInput, value: Any) -> Any:
    """Return the wire format of the token ids to look up at each position of a prompt."""
    if value is None:
        return None
    path = "target_prompt_logprobs"
    tensor = value if isinstance(value, TensorData) else TensorData.convert(value, "int64", path)
    length = prompt.known_length()
    if len(tensor.shape) != 2 or (length is not None and tensor.shape[0] != length - 1):
        raise ValidationError(
            f"must have the shape [len(prompt) - 1, K], not {list(tensor.shape)}", path=path
        )
    return encode.tensor_data(tensor, path)
