"""Samples: one coroutine each, from waiting for a slot to the decoded result."""

from __future__ import annotations

import itertools
import logging
import math
from collections.abc import Callable
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from attrs import evolve, field, frozen
from tinkex_generated.api.sampling import asample
from tinkex_generated.errors import ParseError
from tinkex_generated.models import SampleRequest
from tinkex_generated.types import Request, loads

from tinkex._base.lazy import LazyModule
from tinkex._base.redaction import safe_text
from tinkex._core import loop
from tinkex._core.checks import checked_count
from tinkex._core.completions import Completions
from tinkex._core.limits import LARGE_PROMPT_BYTES, SampleLimiter, Slots
from tinkex._core.polling import Done, Promise
from tinkex._core.response import Response
from tinkex._core.retry import Retries, RetryBudget, RetryPolicy, is_repeatable
from tinkex._core.session import Session
from tinkex._core.submission import promise
from tinkex._core.token_counts import emit_sampled_tokens
from tinkex._core.wire import decode
from tinkex._core.wire.chunking import estimate_input_bytes
from tinkex.errors import (
    ApiError,
    FutureLostError,
    RateLimitError,
    TransportError,
    ValidationError,
)
from tinkex.types.model_input import ModelInput
from tinkex.types.outputs import SampleResponse

if TYPE_CHECKING:
    import asyncio
else:
    asyncio = LazyModule("asyncio")

log = logging.getLogger("tinkex.sampling")

# Seconds of cool-down for all samplers after a 429 without Retry-After.
COOL_DOWN = 1.0
COOL_DOWN_LARGE = 5.0
# Copies of a client in other processes, told apart by chance, and the numbers that each has.
COPIES = 10**9
NO_DEADLINE = 1e9
SAMPLES_OF_A_COPY = 10**9


def _seconds(value: float | timedelta) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    is_number = isinstance(seconds, int | float) and not isinstance(seconds, bool)
    if not is_number or not 0 < seconds < math.inf:
        raise ValidationError(
            f"must be a positive number of seconds, not {value!r}", path="deadline"
        )
    return float(seconds)


@frozen(kw_only=True)
class RetryConfig:
    """Retry and concurrency settings of a sampling client.

    Attributes:
        enabled: Whether a sample is retried after a transient failure.
        deadline: Seconds (or a timedelta) of consecutive failures after which a sample fails.
        resubmissions: How often a sample whose result the server lost is submitted again.
        max_connections: Most concurrent samples of this client; threads are far fewer. None sets no
            limit per client: all clients of a server and key share `Config.samples_in_flight`.
        on_limit: The reaction to a 429. "wait": pause all samplers of the server for as long as it
            asks, then send the sample again; "raise": the sample fails with a `RateLimitError`.
        retry_delay_base: Upper limit of the first wait after a failure, in seconds; it doubles.
        retry_delay_max: Upper limit of every wait, in seconds; Retry-After takes precedence.
        jitter_factor: Share of each wait that is random, from 0 to 1.
        enable_retry_logic: The official SDK's name of `enabled`; it takes precedence.
        progress_timeout: The official SDK's name of `deadline`; it takes precedence.
        enable_stuck_detection: False for no deadline.
    """

    enabled: bool = True
    deadline: float = field(default=300.0, converter=_seconds)
    resubmissions: int = field(default=3)
    max_connections: int | None = field(default=None)
    on_limit: Literal["wait", "raise"] = "wait"
    retry_delay_base: float = field(default=0.5, converter=_seconds)
    retry_delay_max: float = field(default=20.0, converter=_seconds)
    jitter_factor: float = 1.0
    enable_retry_logic: bool | None = None
    progress_timeout: float | timedelta | None = None
    enable_stuck_detection: bool = True

    def __attrs_post_init__(self) -> None:
        if self.enable_retry_logic is not None:
            object.__setattr__(self, "enabled", bool(self.enable_retry_logic))
        if self.progress_timeout is not None:
            object.__setattr__(self, "deadline", _seconds(self.progress_timeout))
        if not self.enable_stuck_detection:
            object.__setattr__(self, "deadline", NO_DEADLINE)
        if not 0 <= self.jitter_factor <= 1:
            raise ValidationError(
                f"must be from 0 to 1, not {self.jitter_factor!r}", path="jitter_factor"
            )
        if self.on_limit not in ("wait", "raise"):
            raise ValidationError(
                f"must be 'wait' or 'raise', not {self.on_limit!r}", path="on_limit"
            )
        if self.max_connections is not None:
            checked_count(self.max_connections, "max_connections", 1)
        checked_count(self.resubmissions, "resubmissions", 0)


class SamplerState:
    """State shared by one client's samples: numbers, slots, and completion reports."""

    def __init__(
        self,
        session: Session,
        sampling_session_id: str,
        retry_config: RetryConfig,
        *,
        is_copy: bool = False,
    ) -> None:
        self.retry_config = retry_config
        self.completions: Completions | None = None
        # The poll for all samples of a sampling session belongs to the client that opened it.
        if session.server_config.config.sample_use_retrieve_futures and not is_copy:
            self.completions = Completions(session.transport, sampling_session_id)
        # The server tells samples from repetitions by their numbers, so each copy has its own.
        copy = 0
        if is_copy:
            # It loads OpenSSL, which few programs need this early.
            import secrets

            copy = secrets.randbelow(COPIES) + 1
        self._numbers = itertools.count(copy * SAMPLES_OF_A_COPY)
        most = retry_config.max_connections
        self._slots = None if most is None else Slots(most)

    def next_number(self) -> int:
        """Return the number of the next sample, from 0."""
        return next(self._numbers)

    async def take_slot(self, limiter: SampleLimiter) -> None:
        """Take a slot of this client and one of the shared limit."""
        if self._slots is not None:
            await self._slots.take()
        try:
            await limiter.in_flight.take()
        except BaseException:
            if self._slots is not None:
                self._slots.give_back()
            raise

    def give_slot_back(self, limiter: SampleLimiter) -> None:
        """Return both slots."""
        limiter.in_flight.give_back()
        if self._slots is not None:
            self._slots.give_back()


class Sample:
    """A sample in progress.

    Args:
        session: The session.
        state: State shared with the client's other samples.
        body: The request, without its number.
        prompt: The prompt.
        read: Parses the result from a decoded response.
    """

    def __init__(
        self,
        session: Session,
        state: SamplerState,
        body: SampleRequest,
        prompt: ModelInput,
        read: Callable[[Any], Any],
    ) -> None:
        self._session = session
        self._state = state
        self._body = body
        self._prompt = prompt
        self._read = read
        self._request: Request | None = None
        self._prompt_bytes = estimate_input_bytes(prompt)
        self._retries: Retries | None = None
        self._rate_limit: Retries | None = None
        self._task: asyncio.Task[Any] | None = None
        self._is_submitting = False
        self._is_unwanted = False
        self._observer: Callable[[str, str | None], object] | None = None
        self.promise: Promise[Any] | None = None

    def on_queue_state(self, observer: Callable[[str, str | None], object] | None) -> None:
        """Call a function whenever the queue state changes; None removes it."""
        self._observer = observer
        if self.promise is not None:
            self.promise.on_queue_state = observer

    def cancel(self) -> None:
        """Cancel the sample, from any thread, and notify the server if it was accepted."""
        loop.call_soon(self._give_up)

    async def result(self) -> Any:
        """Wait for a slot, submit, poll, and parse; a lost result is sampled again."""
        self._task = asyncio.current_task()
        config = self._state.retry_config
        resubmissions = config.resubmissions if config.enabled else 0
        limiter = self._session.limiter
        while True:
            await self._state.take_slot(limiter)
            try:
                accepted = await self._submit()
                if accepted is None:
                    # The slot is free for a sampler that the server accepts.
                    continue
                if self._is_unwanted:
                    # It was cancelled while its request was in flight.
                    raise asyncio.CancelledError
                value = accepted.value if isinstance(accepted, Done) else await accepted.follow()
            except FutureLostError:
                if resubmissions <= 0:
                    raise
                resubmissions -= 1
                continue
            except asyncio.CancelledError:
                self._call_off()
                raise
            finally:
                self._state.give_slot_back(limiter)
            emit_sampled_tokens(self._session.id, self._prompt, value)
            return value

    async def _submit(self) -> Promise[Any] | Done[Any] | None:
        """Send the request; None if the server is full, in which case the wait holds no slot."""
        transport, limiter = self._session.transport, self._session.limiter
        while True:
            permit = await limiter.take_dispatch(self._prompt_bytes, transport.clock)
            try:
                self._session.check()
                self._is_submitting = True
                began = transport.clock.now()
                outcome = await self._attempt()
            finally:
                self._is_submitting = False
                limiter.give_dispatch_back(*permit)
            if isinstance(outcome, Response):
                self._retries = self._rate_limit = self._request = None
                limiter.progressed_at = transport.clock.now()
                return self._accepted(outcome, transport.clock.now() - began)
            if self._is_unwanted:
                raise asyncio.CancelledError
            if isinstance(outcome, RateLimitError) and self._waits_for_room(outcome):
                return None
            await self._pause_after(outcome, began)

    async def _attempt(self) -> Response | ApiError | TransportError:
        transport = self._session.transport
        if self._request is None:
            # A repeated request keeps its number. It is set here, since a copy of the body costs more.
            self._request = asample.build_request(body=self._body)
            self._request.body["seq_id"] = self._state.next_number()
        try:
            response = await transport.attempt(
                self._request, headers={"X-Tinker-Sampling-Backpressure": "1"}
            )
        except TransportError as error:
            return error
        if response.is_success:
            return response
        refusal = transport.api_error(response, "asample")
        refusal.session_id = self._session.id
        if isinstance(refusal, RateLimitError):
            self._note_queue(response)
        return refusal

    def _accepted(self, response: Response, roundtrip: float) -> Promise[Any] | Done[Any]:
        try:
            body = loads(response.content)
            if not isinstance(body, dict):
                raise ParseError("", "is not a JSON object")
            if "request_id" not in body:
                return Done(_parsed(self._read, None, body))
        except ValueError as error:
            why = str(error)
        else:
            self.promise = promise(
                self._session,
                body["request_id"],
                "Sample",
                # Not a method: the promise would hold the sample, which holds it.
                partial(_parsed, self._read, body.get("sample_sequence_ids")),
                roundtrip,
                resubmittable=True,
            )
            self.promise.on_queue_state = self._observer
            self.promise.completions = self._state.completions
            return self.promise
        raise self._session.transport.decode_error(response, "asample", why)

    def _give_up(self) -> None:
        self._is_unwanted = True
        # A request in flight may still be accepted, and must then be cancelled at the server.
        if self._task is not None and not self._is_submitting:
            self._task.cancel()

    def _call_off(self) -> None:
        if self._is_unwanted and self.promise is not None:
            self._session.cancellations.add(self.promise.request_id)

    def _waits_for_room(self, error: RateLimitError) -> bool:
        """Start a cool-down of all samplers after a 429; return False if this sample must not wait."""
        config, limiter = self._state.retry_config, self._session.limiter
        transport = self._session.transport
        clock = transport.clock
        if not (config.enabled and config.on_limit == "wait"):
            raise error
        large = self._prompt_bytes > LARGE_PROMPT_BYTES
        seconds = error.retry_after or (COOL_DOWN_LARGE if large else COOL_DOWN)
        if self._rate_limit is None:
            policy = RetryPolicy(max_attempts=10**9, deadline=config.deadline)
            # A requested wait is not a failure, so it costs nothing from the shared budget.
            budget = RetryBudget(10**9)
            self._rate_limit = Retries(
                policy, budget, clock, transport.jitter, operation="asample",
                session_id=self._session.id,
            )  # fmt: skip
        if limiter.progressed_at > clock.now() - self._rate_limit.elapsed:
            # The server still accepts samples one at a time.
            self._rate_limit.progressed()
        # One line per cool-down, not one per sample.
        is_news = limiter.cool_down_left(clock) <= 0
        self._rate_limit.wait_after(
            error,
            repeatable=error.should_retry is not False,
            retry_after=seconds,
            level=logging.DEBUG,
        )
        if is_news:
            log.info("the server is full (HTTP 429): no samples are sent for %.1f s", seconds)
        limiter.cool_down(seconds, clock)
        return True

    async def _pause_after(self, error: ApiError | TransportError, began: float) -> None:
        config, transport = self._state.retry_config, self._session.transport
        if self._retries is None:
            policy = RetryPolicy(
                max_attempts=transport.policy.max_attempts,
                deadline=config.deadline,
                first_wait=config.retry_delay_base,
                longest_wait=config.retry_delay_max,
                jitter_factor=config.jitter_factor,
            )
            self._retries = transport.retries("asample", policy)
        self._retries.attempt_began = began
        repeatable = config.enabled and is_repeatable(error, "asample")
        await self._retries.pause_after(error, repeatable=repeatable)

    def _note_queue(self, response: Response) -> None:
        """Report why the server accepts no sample now, if it says so."""
        try:
            body = loads(response.content)
        except ValueError:
            return
        state = body.get("queue_state") if isinstance(body, dict) else None
        if not isinstance(state, str) or not state.startswith("paused"):
            return
        text = body.get("queue_state_reason")
        if self._observer is not None:
            self._observer(state, safe_text(text) if isinstance(text, str) else None)


def _parsed(read: Callable[[Any], Any], sequence_ids: Any, body: Any) -> Any:
    return read(decode.sample_response(body, sequence_ids))


def with_first_token(prompt: ModelInput) -> Callable[[SampleResponse], SampleResponse]:
    """Return a function that adds the prompt's first token, without a log probability, to a response.

    Some servers omit it from the prompt's log probabilities.
    """

    def read(response: SampleResponse) -> SampleResponse:
        rest = (prompt.known_length() or 0) - 1
        longer: dict[str, Any] = {}
        for name in ("prompt_logprobs", "topk_prompt_logprobs"):
            found = getattr(response, name)
            if found is not None and len(found) == rest:
                longer[name] = [None, *found]
        return evolve(response, **longer) if longer else response

    return read


def prompt_logprobs(prompt: ModelInput) -> Callable[[Any], list[float | None]]:
    """Return a parser of the log probability of each prompt token from a sample's response."""

    def read(response: Any) -> list[float | None]:
        if response.prompt_logprobs is None:
            raise ParseError("prompt_logprobs", "was requested and is missing")
        # Some servers omit the first token, which has no log probability.
        missing = (prompt.known_length() or 0) - len(response.prompt_logprobs)
        found: list[float | None] = [None] * max(0, missing) + response.prompt_logprobs
        return found

    return read
