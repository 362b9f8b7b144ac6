"""Submit samples when there is room for them, poll them, and send lost ones anew."""

from __future__ import annotations

import itertools
import logging
import math
from datetime import timedelta
from typing import Any, Literal

from attrs import evolve, field, frozen
from tinkex_generated.api.sampling import asample
from tinkex_generated.errors import ParseError
from tinkex_generated.models import SampleRequest
from tinkex_generated.types import Request, loads

from tinkex.checks import checked_count
from tinkex.errors import (
    ApiError,
    FutureLostError,
    RateLimitError,
    ReadTimeoutError,
    TransportError,
    ValidationError,
)
from tinkex.events.bus import is_heard
from tinkex.limits import LARGE_PROMPT_BYTES, Places, SampleLimiter
from tinkex.polling import Done, Promise
from tinkex.queue_state import QueueStateChange, reason_of
from tinkex.session import Session
from tinkex.submission import promise
from tinkex.token_counts import tell_sampled
from tinkex.transport.answer import Reply
from tinkex.transport.failures import is_retryable_status, printable, short
from tinkex.transport.retry import Retries, RetryPolicy
from tinkex.transport.unobserved import tell_failure
from tinkex.types.model_input import ModelInput
from tinkex.wire import decode
from tinkex.wire.chunking import estimate_input_bytes

log = logging.getLogger("tinkex.sampling")

# How long all samplers hold back when the server says 429 and not for how long.
QUIET_SECONDS = 1.0
QUIET_SECONDS_LARGE = 5.0
# How often a sample that finds no place looks again: ever more rarely, as thousands may be looking.
NO_PLACE_PAUSE = 0.05
LONGEST_NO_PLACE_PAUSE = 1.0


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
    """Set how patient samples are, and how many are under way at once.

    Attributes:
        enabled: Whether a sample is tried again after a failure that may pass.
        deadline: Seconds (or a timedelta) of failures in a row after which a sample gives up.
        resubmissions: How often a sample whose result the server lost is sent anew.
        max_connections: Most samples of this client that the server works on at once; threads are
            far fewer. None sets no limit of its own: all clients of a server and key together have
            `Config.samples_in_flight`.
        on_limit: What a 429 means. "wait": hold all samplers of the server for as long as it asks,
            and send the sample again; "raise": the sample fails with a `RateLimitError`.
    """

    enabled: bool = True
    deadline: float = field(default=300.0, converter=_seconds)
    resubmissions: int = field(default=3)
    max_connections: int | None = field(default=None)
    on_limit: Literal["wait", "raise"] = "wait"

    def __attrs_post_init__(self) -> None:
        if self.on_limit not in ("wait", "raise"):
            raise ValidationError(
                f"must be 'wait' or 'raise', not {self.on_limit!r}", path="on_limit"
            )
        if self.max_connections is not None:
            checked_count(self.max_connections, "max_connections", 1)
        checked_count(self.resubmissions, "resubmissions", 0)


class SamplerState:
    """Hold what the samples of one client share: their numbers and their places in flight."""

    def __init__(self, retry_config: RetryConfig) -> None:
        self.retry_config = retry_config
        self._numbers = itertools.count()
        most = retry_config.max_connections
        self._places = None if most is None else Places(most)

    def next_number(self) -> int:
        """Return the number of the next sample, from 0."""
        return next(self._numbers)

    def try_start(self, limiter: SampleLimiter) -> bool:
        """Take a place among this client's samples and one among those of all clients."""
        if self._places is None:
            return limiter.in_flight.try_take()
        if not self._places.try_take():
            return False
        if limiter.in_flight.try_take():
            return True
        self._places.give_back()
        return False

    def finish(self, limiter: SampleLimiter) -> None:
        """Give both places back."""
        limiter.in_flight.give_back()
        if self._places is not None:
            self._places.give_back()


class SampleWork:
    """Submit one sample when there is room, poll it, and send it anew if its result is lost."""

    def __init__(
        self, session: Session, state: SamplerState, body: SampleRequest, prompt: ModelInput
    ) -> None:
        self._session = session
        self._state = state
        self._body = body
        self._prompt = prompt
        self._request: Request | None = None
        self._sequence_ids: Any = None
        self._retries: Retries | None = None
        self._history: list[str] = []
        self._prompt_bytes = estimate_input_bytes(prompt)
        self._in_flight = False
        self._is_unwanted = False
        self._refusals = 0
        self._resubmissions = self._config.resubmissions if self._config.enabled else 0
        self.promise: Promise[Any] | None = None

    @property
    def _config(self) -> RetryConfig:
        return self._state.retry_config

    def step(self, patience: float) -> float | Done[Any]:
        """Submit, or poll once."""
        try:
            outcome = self._poll(patience) if self.promise else self._submit()
        except Exception:
            # An interrupt leaves the sample with the server, and so its place taken.
            self.abandon()
            raise
        if isinstance(outcome, Done):
            self.abandon()
            if is_heard():
                tell_sampled(self._session.id, self._prompt, outcome.value)
        return outcome

    def abandon(self) -> None:
        """Give back the place in flight."""
        if self._in_flight:
            self._in_flight = False
            self._state.finish(self._session.limiter)

    def cancel(self) -> None:
        """Give up the sample, and tell the server if it has it."""
        self._is_unwanted = True
        self._call_off()
        self._session.cancellations.send()

    def _call_off(self) -> None:
        was_in_flight = self._in_flight
        self.abandon()
        if was_in_flight and self.promise is not None:
            self._session.cancellations.add(self.promise.request_id)

    def __del__(self) -> None:
        # Nobody steps it any more: it must not keep its place, and the server may stop. The next
        # heartbeat tells the server, as nothing may be sent from wherever the collector runs.
        if getattr(self, "_in_flight", False):
            self._call_off()

    def read(self, body: Any) -> Any:
        """Read the server's answer."""
        return decode.with_sequence_ids(decode.sample_response(body), self._sequence_ids)

    def _submit(self) -> float | Done[Any]:
        limiter, transport = self._session.limiter, self._session.transport
        quiet = limiter.quiet_for(transport.clock)
        if quiet > 0:
            return quiet
        if not self._in_flight:
            if not self._state.try_start(limiter):
                return self._no_room()
            self._in_flight = True
        dispatch = limiter.try_dispatch(self._prompt_bytes, transport.clock)
        if dispatch is None:
            return self._no_room()
        self._refusals = 0
        began = transport.clock.now()
        try:
            self._session.check()
            outcome = transport.send_once(
                self._numbered(), headers={"X-Tinker-Sampling-Backpressure": "1"}
            )
        finally:
            limiter.end_dispatch(dispatch)
        if isinstance(outcome, TransportError):
            return self._pause(outcome, retryable=outcome.retryable)
        if not outcome.is_success:
            return self._after_error_status(outcome)
        self._retries = None
        self._history.clear()
        return self._accept(outcome, transport.clock.now() - began)

    def _no_room(self) -> float:
        self._refusals += 1
        return min(NO_PLACE_PAUSE * 1.5 ** min(self._refusals, 10), LONGEST_NO_PLACE_PAUSE)

    def _numbered(self) -> Request:
        """Return the request under its number; one that is sent again keeps both."""
        if self._request is None:
            body = evolve(self._body, seq_id=self._state.next_number())
            self._request = asample.build_request(body=body)
        return self._request

    def _accept(self, response: Reply, roundtrip: float) -> float | Done[Any]:
        try:
            body = loads(response.content)
            if not isinstance(body, dict):
                raise ParseError("", "is no JSON object")
            if "request_id" not in body:
                return Done(self.read(body))
        except ValueError as error:
            why = str(error)
        else:
            return self._follow(body, roundtrip)
        raise self._session.transport.decode_error(response, "asample", why)

    def _follow(self, body: dict[str, Any], roundtrip: float) -> float:
        self._sequence_ids = body.get("sample_sequence_ids")
        self.promise = promise(
            self._session, body["request_id"], "Sample", self.read, roundtrip, resubmittable=True
        )
        if self._is_unwanted:
            # It was given up while its request was on its way.
            self._session.cancellations.add(self.promise.request_id)
            self._session.cancellations.send()
        return 0.0

    def _poll(self, patience: float) -> float | Done[Any]:
        current = self.promise
        if current is None:
            return 0.0
        try:
            return current.step(patience)
        except FutureLostError:
            if self._resubmissions <= 0:
                raise
        self._resubmissions -= 1
        self.promise = self._request = None
        return 0.0

    def _after_error_status(self, response: Reply) -> float:
        transport = self._session.transport
        error = transport.api_error(response, "asample")
        error.session_id = self._session.id
        waits = self._config.enabled and self._config.on_limit == "wait"
        if isinstance(error, RateLimitError) and not waits:
            raise error
        if isinstance(error, RateLimitError):
            policy = transport.policy
            if (error.retry_after or 0.0) > policy.longest_retry_after:
                raise error
            large = self._prompt_bytes > LARGE_PROMPT_BYTES
            quiet = error.retry_after or (QUIET_SECONDS_LARGE if large else QUIET_SECONDS)
            self._hold_all(quiet)
            self._note_queue(response)
            # The place is free for a sampler that the server does take.
            self.abandon()
            return quiet
        return self._pause(error, retryable=is_retryable_status(response, idempotent=True))

    def _hold_all(self, quiet: float) -> None:
        limiter, clock = self._session.limiter, self._session.transport.clock
        # One line for each pause, not for each of the samples that run into it.
        if limiter.quiet_for(clock) <= 0:
            log.info("the server is full (HTTP 429): no samples are sent for %.1f s", quiet)
        limiter.be_quiet(quiet, clock)

    def _note_queue(self, response: Reply) -> None:
        """Pass on why the server wants no sample now, if it says so."""
        try:
            body = loads(response.content)
        except ValueError:
            return
        state = body.get("queue_state") if isinstance(body, dict) else None
        if not isinstance(state, str) or not state.startswith("paused"):
            return
        said = body.get("queue_state_reason")
        reason = self._session.transport.redact(printable(said)) if isinstance(said, str) else None
        self._session.queue_watch.note(
            QueueStateChange(
                state=state,
                reason=reason_of(state, reason, "Sampling"),
                operation="sample",
                subject=self._body.sampling_session_id,
                session_id=self._session.id,
            )
        )

    def _pause(self, error: ApiError | TransportError, *, retryable: bool) -> float:
        transport = self._session.transport
        if not (retryable and self._config.enabled):
            raise error
        if self._retries is None:
            policy = RetryPolicy(
                max_attempts=transport.policy.max_attempts, deadline=self._config.deadline
            )
            self._retries = Retries(policy, transport.budget, transport.clock, transport.jitter)
        self._history.append(f"{self._retries.elapsed:.1f} s: {short(error)}")
        error.attempts = tuple(self._history)
        wait = self._retries.next_wait(
            retry_after=error.retry_after, timed_out=isinstance(error, ReadTimeoutError)
        )
        if is_heard():
            tell_failure("asample", self._session.id, self._retries, error, wait)
        if wait is None:
            error.message += f"; {self._retries.refusal}"
            raise error
        return wait


class LogprobsWork(SampleWork):
    """Read a sample's answer for the prompt's log probabilities alone."""

    def read(self, body: Any) -> list[float | None]:
        """Read the prompt's log probabilities, one for each of its tokens."""
        response = decode.sample_response(body)
        if response.prompt_logprobs is None:
            raise ParseError("prompt_logprobs", "was asked for and is not there")
        # Some servers leave out the first token, which has none.
        missing = (self._prompt.known_length() or 0) - len(response.prompt_logprobs)
        return [None] * max(0, missing) + response.prompt_logprobs
