"""Send one request to the server, as often as it is right to."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from tinkex_generated.errors import ParseError
from tinkex_generated.types import Request

from tinkex.clock import SYSTEM_CLOCK, Clock
from tinkex.config import Config
from tinkex.errors import (
    ApiError,
    CircuitOpenError,
    ConnectError,
    DecodeError,
    ReadTimeoutError,
    TransportError,
)
from tinkex.events.bus import is_heard
from tinkex.secret import Secret
from tinkex.transport.answer import Answer, Broken, Reply, Stream
from tinkex.transport.body import Body, size_of
from tinkex.transport.breaking import breakers_of, guarded
from tinkex.transport.failures import (
    api_error,
    decode_error,
    disarm,
    short,
)
from tinkex.transport.line import Line
from tinkex.transport.retry import (
    Retries,
    RetryBudget,
    RetryPolicy,
    full_jitter,
)
from tinkex.transport.unobserved import Unobserved
from tinkex.transport.verdict import failure_of, final, is_fine

if TYPE_CHECKING:
    import httpx

    from tinkex.tracing import Tracer
    from tinkex.transport.observed import Observed

T = TypeVar("T")

log = logging.getLogger("tinkex.transport")

# Before anything ever answered, a wrong address is likelier than an outage.
ATTEMPTS_BEFORE_FIRST_CONTACT = 3


class Transport:
    """Own the connections to one server and every rule about using them.

    Args:
        config: Where to, with which key, how patiently.
        clock: Where time comes from.
        budget: The retry budget that all calls share.
        http_transport: A replacement for the network, such as `httpx.MockTransport`.
        jitter: Draws each wait from its upper end.
    """

    def __init__(
        self,
        config: Config,
        *,
        clock: Clock = SYSTEM_CLOCK,
        budget: RetryBudget | None = None,
        http_transport: httpx.BaseTransport | None = None,
        jitter: Callable[[float], float] = full_jitter,
    ) -> None:
        self.config = config
        self.clock = clock
        self.budget = budget or RetryBudget()
        self.policy = RetryPolicy(max_attempts=config.max_retries + 1)
        self.jitter = jitter
        self.session_id: str | None = None
        self.tracer: Tracer | None = None
        if config.tracing:
            from tinkex.tracing import Tracer

            self.tracer = Tracer()
        self.breakers = breakers_of(config, clock)
        self._line = Line(config, http_transport)
        self._credentials = self._line.credentials

    def call(
        self,
        request: Request,
        parse: Callable[[bytes], T],
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        policy: RetryPolicy | None = None,
    ) -> T:
        """Send a request and read its answer.

        Raises:
            TransportError: No usable answer came.
            ApiError: The server answered with an error status.
        """
        answer = self.send(request, headers=headers, timeout=timeout, policy=policy)
        return self.parsed(answer, parse, request.operation)

    def parsed(self, answer: Answer, parse: Callable[[bytes], T], operation: str) -> T:
        """Read an answer by the given parser; a `DecodeError` says what does not fit."""
        try:
            return parse(answer.content)
        except ParseError as error:
            why = str(error)
        raise self.decode_error(answer, operation, why)

    def send(
        self,
        request: Request,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
        policy: RetryPolicy | None = None,
        accept: Container[int] = (),
        body: Body | None = None,
    ) -> Answer:
        """Send a request, repeating it where that is safe, and return the answer.

        Each attempt carries the same bytes and the same idempotency key. Statuses in `accept` are
        answers like any 2xx. A `body` is sent instead of the request's own.
        """
        with (
            self._seen(request, headers) as seen,
            guarded(self.breakers, request.operation),
        ):
            retries = Retries(policy or self.policy, self.budget, self.clock, self.jitter)
            content = request.encode() if body is None else body
            seen.sent_bytes = size_of(content)
            sent_headers = self._line.headers(request, seen.headers, timeout)
            history: list[str] = []
            while True:
                seen.attempt_begins(retries)
                sent_headers["x-stainless-retry-count"] = str(retries.attempt - 1)
                outcome = self._line.attempt(request, content, sent_headers, timeout)
                if isinstance(outcome, Reply) and is_fine(outcome, accept):
                    if retries.attempt > 1:
                        log.info("%s succeeded on attempt %d", request.operation, retries.attempt)
                    self.budget.earn()
                    seen.attempt_succeeded(retries)
                    seen.answered(outcome.status_code, len(outcome.content), retries.attempt - 1)
                    return Answer(
                        outcome.status_code,
                        outcome.headers,
                        outcome.content,
                        retries.elapsed,
                        retries.attempt - 1,
                    )
                error, may_repeat, retry_after = failure_of(
                    outcome, self.api_error, request.operation
                )
                history.append(f"{retries.elapsed:.1f} s: {short(error)}")
                wait = None
                if may_repeat and not self._is_hopeless(error, retries):
                    wait = retries.next_wait(
                        retry_after=retry_after, timed_out=isinstance(error, ReadTimeoutError)
                    )
                seen.attempt_failed(retries, error, wait)
                if wait is None:
                    raise final(error, retries.refusal, history)
                log.warning(
                    "%s: %s; attempt %d in %.1f s",
                    request.operation,
                    short(error),
                    retries.attempt,
                    wait,
                )
                self.clock.sleep(wait)

    def send_once(
        self,
        request: Request,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Reply | TransportError:
        """Make one attempt and return what came of it, for callers with rules of their own."""
        with self._seen(request, headers) as seen:
            sent_headers = self._line.headers(request, seen.headers, timeout)
            sent_headers["x-stainless-retry-count"] = "0"
            content = request.encode()
            seen.sent_bytes = size_of(content)
            try:
                with guarded(self.breakers, request.operation) as note:
                    outcome = self._line.attempt(request, content, sent_headers, timeout)
                    note(outcome)
            except CircuitOpenError as error:
                seen.failed(error)
                return error
            if isinstance(outcome, Broken):
                seen.failed(outcome.error)
                return outcome.error
            seen.answered(outcome.status_code, len(outcome.content))
            if outcome.is_success:
                self.budget.earn()
            return outcome

    def _seen(self, request: Request, headers: Mapping[str, str] | None) -> Observed | Unobserved:
        if self.tracer is None and not is_heard():
            return Unobserved(headers)
        # Loaded by whoever listens first; who does not pays nothing for it.
        from tinkex.transport.observed import Observed

        return Observed(self, request, headers)

    @contextmanager
    def stream(
        self,
        request: Request,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Iterator[Stream]:
        """Send a request and hand out its answer while it is still coming."""
        with (
            self._seen(request, headers) as seen,
            self._stream(request, seen.headers, timeout) as opened,
        ):
            seen.answered(200)
            yield opened

    @contextmanager
    def _stream(
        self, request: Request, headers: Mapping[str, str] | None, timeout: float | None
    ) -> Iterator[Stream]:
        network = self._line.opened()
        self._credentials.prepare()
        sent_headers = self._line.headers(request, headers, timeout)
        opening = (
            request.method, request.path, request.params, sent_headers, request.encode(), timeout,
        )  # fmt: skip
        generation = self._credentials.generation
        try:
            may_renew = True
            while True:
                with network.stream(*opening) as outcome:
                    if isinstance(outcome, Broken):
                        raise outcome.error
                    if isinstance(outcome, Reply):
                        refused = outcome.status_code == 401 and may_renew
                        if refused and self._credentials.renewed(generation):
                            may_renew = False
                            continue
                        raise self.api_error(outcome, request.operation)
                    yield outcome
                    return
        except Exception as error:
            broken = network.failure_of(error)
            if broken is None:
                raise
            # If the caller was reading, it hangs on our error as its context, whatever we do.
            disarm(error)
        raise broken.error

    def api_error(self, response: Reply, operation: str) -> ApiError:
        """Return the typed error of an answer with an error status."""
        return api_error(response, operation, self._credentials.redact)

    def revealed(self, secret: Secret | str | None) -> str | None:
        """Return a secret for the body or headers of a request; from now on errors mask it."""
        secret = Secret.of(secret)
        if secret is None:
            return None
        self._credentials.hide(secret)
        return secret.reveal()

    def redact(self, text: str) -> str:
        """Return a server's text without the secrets that it may repeat."""
        return self._credentials.redact(text)

    def decode_error(self, answer: Answer | Reply, operation: str, why: str) -> DecodeError:
        """Return the error of an answer that is not what the API promises."""
        content_type = answer.headers.get("content-type", "")
        error = decode_error(answer.content, content_type, operation, why, self._credentials.redact)
        error.status_code = answer.status_code
        error.request_id = answer.headers.get("x-request-id")
        return error

    @property
    def where(self) -> str:
        """Return the server's address, for messages."""
        return self.config.base_url

    @property
    def is_foreign(self) -> bool:
        """Tell whether this process was forked from the one that the connections belong to."""
        return self._line.is_foreign

    def close(self) -> None:
        """Close every connection; calls after it raise `ClientClosedError`."""
        self._line.close()

    def use_tokens(self, exchange: Callable[[], str]) -> None:
        """Send a token in place of the key, as servers may ask for.

        Args:
            exchange: Asks the server for a token, by a call of this transport.

        Raises:
            TinkexError: The server gives none.
        """
        self._credentials.use_tokens(exchange)

    def _is_hopeless(self, error: ApiError | TransportError, retries: Retries) -> bool:
        return (
            isinstance(error, ConnectError)
            and not self._line.had_contact
            and retries.attempt >= ATTEMPTS_BEFORE_FIRST_CONTACT
        )
