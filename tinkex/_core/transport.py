"""Requests to one server: sending, retries, and reading.

There are coroutines for use on the loop (`request`, `attempt`), and blocking calls for the caller's
thread (`send`, `send_once`, `call`, `stream`).
"""

from __future__ import annotations

import logging
import os
import random
from collections.abc import Callable, Container, Coroutine, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, TypedDict, TypeVar, Unpack

import attrs
from tinkex_generated.errors import ParseError
from tinkex_generated.types import Request

from tinkex._base.clock import SYSTEM_CLOCK, Clock
from tinkex._base.lazy import LazyModule
from tinkex._base.redaction import hide
from tinkex._base.secret import Secret
from tinkex._core import loop
from tinkex._core.credentials import Credentials
from tinkex._core.failures import Failure, api_error, decode_error, transport_error
from tinkex._core.http import Content, Engine, fixed_headers, size_of
from tinkex._core.instrumentation import RequestObserver, observed
from tinkex._core.pyqwest_engine import open_engine
from tinkex._core.request_fields import fields_of
from tinkex._core.response import Headers, OpenResponse, RequestHeaders, Response
from tinkex._core.retry import (
    Retries,
    RetryBudget,
    RetryPolicy,
    full_jitter,
    is_repeatable,
)
from tinkex._core.retry_safety import RequestClass, request_class
from tinkex.config import Config, redact_headers
from tinkex.errors import (
    ApiError,
    CircuitOpenError,
    ClientClosedError,
    ConnectError,
    DecodeError,
    ServerError,
    TinkexError,
    TransportError,
)

if TYPE_CHECKING:
    import asyncio

    import httpx

    from tinkex._core.circuit_breaker import CircuitBreakers
    from tinkex._core.tracing import Tracer
else:
    asyncio = LazyModule("asyncio")

T = TypeVar("T")

# Our own generator: the program may seed the module's, and a system call per request is slow.
_keys = random.Random()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_keys.seed)

log = logging.getLogger("tinkex.transport")

# Before the first response, a wrong address is likelier than an outage.
ATTEMPTS_BEFORE_FIRST_CONTACT = 3
# Larger than any result; a broken server or a decompression bomb must not exhaust memory.
MOST_RESPONSE_BYTES = 512 * 1024**2
SMALL_BODY = 4096
# A server without room for another HTTP/2 stream refuses it unprocessed; delay before it is resent.
REFUSED_PAUSE = 0.005
LONGEST_REFUSED_PAUSE = 0.1
# Servers hold a poll until there is news: the service for less than a minute, others for five minutes.
# A poll times out only when the connection is silent; the next one then waits longer.
POLL_TIMEOUT = 75.0
_UNGUARDED = nullcontext()
_TOKEN_OPERATION = "auth_token"  # noqa: S105 - an operation's name


class RequestOptions(TypedDict, total=False):
    """The keyword arguments of `Transport.request`."""

    timeout: float | None
    policy: RetryPolicy | None
    accept: Container[int]
    retry_on: Container[int]
    body: Content | None


@attrs.frozen
class _Sending:
    """The content of one attempt; if `whole` is false, a success is returned with its body unread."""

    request: Request
    content: Content | None = attrs.field(repr=False)
    headers: RequestHeaders
    timeout: float | None
    whole: bool = True


class Transport:
    """The connections to one server, and the rules for using them.

    Args:
        config: The server, the key and the time-outs.
        clock: The source of time.
        budget: The retry budget that all calls share.
        http_transport: A replacement for the network, such as `httpx.MockTransport`.
        jitter: Returns a random wait up to its argument.

    Attributes:
        session_id: The current session, for events.
        tracer: Creates the spans of requests, if tracing is on.
        breakers: A circuit breaker per operation, if they are on.
        had_contact: Whether the server ever responded.
        poll_timeout: Seconds that a poll may be held; raised for servers that hold it longer.
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
            from tinkex._core.tracing import Tracer

            self.tracer = Tracer()
        self.breakers = _breakers_of(config, clock)
        self.had_contact = False
        self.poll_timeout = POLL_TIMEOUT
        self.credentials = Credentials(config)
        self.fields = fields_of(config.base_url)
        self.engine: Engine = open_engine(config, self.credentials, http_transport)
        self._tasks: set[asyncio.Task[Any]] = set()
        self._closed = False
        self._process = os.getpid()

    # For the thread of a caller.

    def run(self, coroutine: Coroutine[Any, Any, T]) -> T:
        """Run a coroutine of this transport and wait for its result; `close` cancels it.

        Raises:
            ClientClosedError: The transport is closed, or was closed during the call.
        """
        try:
            self.check_open()
        except ClientClosedError:
            coroutine.close()
            raise
        outcome = loop.finished(coroutine, self._tasks)
        error = None if outcome.cancelled() else outcome.exception()
        if outcome.cancelled() or not isinstance(error, TinkexError | None):
            # An injected transport that is closed may raise anything, before `close` cancels this.
            self._raise_if_closed()
        if error is None:
            return outcome.result()
        try:
            # Frames of sending are no use to the user; frames of errors in user code are.
            raise error.with_traceback(None) if isinstance(error, TinkexError) else error
        finally:
            # Otherwise the error and this frame would keep each other alive.
            del error, outcome

    def call(
        self, request: Request, parse: Callable[[bytes], T], **options: Unpack[RequestOptions]
    ) -> T:
        """Send a request as `request` does, and read its response."""
        return self.run(self._called(request, parse, options))

    def send(self, request: Request, **options: Unpack[RequestOptions]) -> Response:
        """Send a request as `request` does, and wait for its response."""
        return self.run(self.request(request, **options))

    def send_once(
        self,
        request: Request,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Response | TransportError:
        """Make one attempt and return its response, or the reason why there is none."""
        try:
            return self.run(self.attempt(request, headers=headers, timeout=timeout))
        except TransportError as error:
            return error

    @contextmanager
    def stream(self, request: Request) -> Iterator[Stream]:
        """Send a request and return its response with the body unread."""
        with observed(self, request) as seen:
            headers = self._headers(request, seen.headers, None)
            sending = _Sending(request, self.fields.encode(request), headers, None, whole=False)
            opened = self.run(self._attempt(sending))
            if isinstance(opened, Response):
                raise self.api_error(opened, request.operation)
            seen.responded(opened.status_code)
            stream = Stream(self, opened, self.config.timeout)
            try:
                yield stream
            finally:
                stream.close()

    # For coroutines on the loop.

    async def _called(
        self, request: Request, parse: Callable[[bytes], T], options: RequestOptions
    ) -> T:
        return self.parsed(await self.request(request, **options), parse, request.operation)

    async def request(
        self,
        request: Request,
        *,
        timeout: float | None = None,
        policy: RetryPolicy | None = None,
        retries: Retries | None = None,
        accept: Container[int] = (),
        retry_on: Container[int] = (),
        body: Content | None = None,
        repeats_statuses: bool = True,
    ) -> Response:
        """Send a request, with retries where they are safe, and return the response.

        Each attempt carries the same bytes and the same idempotency key.

        Args:
            request: The request.
            timeout: Seconds per attempt.
            policy: The limits on all attempts together.
            retries: The attempts so far, for callers that inspect them afterwards.
            accept: Error statuses to return as results.
            retry_on: More statuses that mean "not yet".
            body: Content that replaces the request's own body.
            repeats_statuses: Whether error statuses are retried; transport failures always are.

        Raises:
            TransportError: No usable response was received.
            ApiError: The server responded with an error status.
        """
        operation = request.operation
        with observed(self, request) as seen, self._guard(operation):
            retries = retries or self.retries(operation, policy)
            content = self.fields.encode(request) if body is None else body
            seen.sent_bytes = size_of(content)
            headers = self._headers(request, seen.headers, timeout)
            sending = _Sending(request, content, headers, timeout)
            while True:
                retries.began()
                headers["x-stainless-retry-count"] = str(retries.attempt - 1)
                try:
                    response: Response = await self._attempt(sending)
                    if self._learned(sending, response):
                        content = self.fields.encode(request)
                        headers = self._headers(request, seen.headers, timeout)
                        sending = _Sending(request, content, headers, timeout)
                        continue
                    if not response.is_success and response.status_code not in accept:
                        raise self.api_error(response, operation)
                except (ApiError, TransportError) as error:
                    repeatable = (
                        is_repeatable(error, operation) or error.status_code in retry_on
                    ) and not self._is_hopeless(error, retries)
                    if isinstance(error, ApiError) and not repeats_statuses:
                        repeatable = False
                    await retries.pause_after(error, repeatable=repeatable)
                    continue
                retries.succeeded()
                seen.responded(response.status_code, len(response.content), retries.attempt - 1)
                return attrs.evolve(response, elapsed=retries.elapsed, retries=retries.attempt - 1)

    async def attempt(
        self,
        request: Request,
        *,
        headers: Mapping[str, str] | None = None,
        timeout: float | None = None,
    ) -> Response:
        """Make one attempt and return the response, whatever its status.

        Raises:
            TransportError: No response was received.
        """
        with observed(self, request, headers) as seen:
            sending = self._once(request, seen, timeout)
            try:
                with self._guard(request.operation):
                    response: Response = await self._attempt(sending)
                    while self._learned(sending, response):
                        sending = self._once(request, seen, timeout)
                        response = await self._attempt(sending)
                    if response.status_code >= 500 and response.status_code != 501:
                        raise _ServerFailedError(response)
            except _ServerFailedError as failed:
                response = failed.response
            seen.responded(response.status_code, len(response.content))
            if response.is_success:
                self.budget.earn()
            return response

    def _once(self, request: Request, seen: RequestObserver, timeout: float | None) -> _Sending:
        content = self.fields.encode(request)
        if content is not None and len(content) < SMALL_BODY:
            # orjson returns its whole buffer, which a long poll would keep alive.
            content = bytes(memoryview(content))
        seen.sent_bytes = size_of(content)
        headers = self._headers(request, seen.headers, timeout)
        headers["x-stainless-retry-count"] = "0"
        return _Sending(request, content, headers, timeout)

    def _learned(self, sending: _Sending, response: Response) -> bool:
        """Return whether a server refused a request for fields that can be omitted."""
        return response.status_code == 422 and self.fields.learn(
            sending.request, sending.content, response.content
        )

    def retries(
        self, operation: str, policy: RetryPolicy | None = None, *, outlasts_budget: bool = False
    ) -> Retries:
        """Return the retry state of a call that starts now."""
        return Retries(
            policy or self.policy,
            self.budget,
            self.clock,
            self.jitter,
            operation=operation,
            session_id=self.session_id,
            outlasts_budget=outlasts_budget,
        )

    # Reading, errors, secrets.

    def parsed(self, response: Response, parse: Callable[[bytes], T], operation: str) -> T:
        """Parse a response; a `DecodeError` says what does not conform."""
        try:
            return parse(response.content)
        except ParseError as error:
            # The parser's message may quote a key, so no local variable holds it.
            failure = self.decode_error(response, operation, str(error))
        raise failure

    def api_error(self, response: Response, operation: str) -> ApiError:
        """Return the typed error of a response with an error status."""
        return api_error(response, operation)

    def decode_error(self, response: Response, operation: str, why: str) -> DecodeError:
        """Return the error of a response that does not conform to the API."""
        content_type = response.headers.get("content-type", "")
        error = decode_error(response.content, content_type, operation, why)
        error.status_code = response.status_code
        error.request_id = response.headers.get("x-request-id")
        return error

    def revealed(self, secret: Secret | str | None) -> str | None:
        """Return a secret for the body or headers of a request, and register it for redaction."""
        secret = Secret.of(secret)
        if secret is None:
            return None
        hide(secret)
        return secret.reveal()

    def use_tokens(self, exchange: Callable[[], Coroutine[Any, Any, str]]) -> None:
        """Send a token in place of the key, if the server asks for that.

        Args:
            exchange: Requests a token from the server, through this transport.

        Raises:
            TinkexError: The server returned no token.
        """
        self.run(self.credentials.use_tokens(exchange))

    # Life cycle.

    @property
    def where(self) -> str:
        """Return the server's address, for messages."""
        return self.config.base_url

    @property
    def is_foreign(self) -> bool:
        """Return whether this process was forked from the connections' owner."""
        return os.getpid() != self._process

    @property
    def is_closed(self) -> bool:
        """Return whether it was closed."""
        return self._closed

    def check_open(self) -> None:
        """Raise if this process may not use the connections.

        Raises:
            ClientClosedError: The transport is closed, or belongs to the parent process.
        """
        if self._closed:
            raise ClientClosedError("this client was closed; create a new ServiceClient")
        if self.is_foreign:
            raise ClientClosedError(
                "this client was made before the process forked, and its connections belong to the "
                "parent; create a new ServiceClient in this process"
            )

    def close(self) -> None:
        """Close every connection; calls in flight and later ones raise `ClientClosedError`."""
        if self._closed:
            return
        self._closed = True
        if not self.is_foreign:
            try:
                loop.spawn(self._aclose())
            except ClientClosedError:
                # The interpreter is exiting, which closes everything.
                return

    async def _aclose(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        # Cancelled first, so that their exchanges end in order.
        await asyncio.sleep(0)
        await self.engine.aclose()

    # One attempt.

    def _attempt(self, sending: _Sending) -> Coroutine[Any, Any, Any]:
        """Make one attempt: return a `Response`, or an `OpenResponse` if the body is not to be read."""
        if self.credentials.is_fixed:
            return self._exchange(sending)
        return self._renewing_exchange(sending)

    async def _renewing_exchange(self, sending: _Sending) -> Any:
        """Make one exchange, and a second one if the key was refused and there is a new one."""
        operation = sending.request.operation
        for_exchange = operation == _TOKEN_OPERATION
        await self.credentials.prepare(for_exchange=for_exchange)
        generation = self.credentials.generation
        response = await self._exchange(sending)
        # The key may have been replaced; a refused request had no effect, so it can be sent again.
        if response.status_code == 401 and await self.credentials.renewed(
            generation, for_exchange=for_exchange
        ):
            log.info("%s: the API key was renewed", operation)
            response = await self._exchange(sending)
        return response

    async def _exchange(self, sending: _Sending) -> Any:
        """Send a request and return its response; wait if the server refuses another stream."""
        self.check_open()
        request, headers, content = sending.request, sending.headers, sending.content
        seconds = sending.timeout or self.config.timeout
        if self.config.dump_headers:
            self._dump(request, headers)
        renewing: _Renewing | None = None
        pause = 0.0
        failure: TransportError
        try:
            async with asyncio.timeout(seconds) as limit:
                if content is not None and not isinstance(content, bytes):
                    content = renewing = _Renewing(content, limit, seconds)
                while True:
                    try:
                        opened = await self.engine.open(request, headers, content)
                        self.had_contact = True
                        if not sending.whole and 200 <= opened.status_code < 300:
                            return opened
                        return await opened.read(MOST_RESPONSE_BYTES)
                    except self.engine.errors as error:
                        failure = self.engine.failure_of(error)
                    if not failure.was_refused:
                        break
                    await asyncio.sleep(pause)
                    pause = min(max(2 * pause, REFUSED_PAUSE), LONGEST_REFUSED_PAUSE)
        except TransportError as error:
            failure = error
        except TimeoutError:
            failure = self.too_slow(f"no complete response within {seconds:g} s")
        self._raise_if_closed()
        if renewing is not None and renewing.error is not None:
            # The content was changed after the request was created.
            raise renewing.error
        # Without the frames below, which held the request headers.
        raise failure.with_traceback(None) from None

    def too_slow(self, text: str) -> TransportError:
        """Return the error of an exchange that timed out."""
        return transport_error(Failure.TIMEOUT, text, self.where)

    def _headers(
        self, request: Request, extra: Mapping[str, str] | None, timeout: float | None
    ) -> RequestHeaders:
        """Return the headers of every attempt of a request, in addition to those of all requests."""
        headers = RequestHeaders((name.lower(), value) for name, value in request.headers.items())
        if request.content_type:
            headers["content-type"] = request.content_type
        if request.method != "GET":
            headers["x-idempotency-key"] = f"{_keys.getrandbits(128):032x}"
        headers["x-stainless-read-timeout"] = f"{timeout or self.config.timeout:.3f}"
        for name, value in (extra or {}).items():
            headers[name.lower()] = value
        return headers

    def _dump(self, request: Request, headers: Mapping[str, str]) -> None:
        secrets = dict.fromkeys(self.credentials.header_names, "")
        shown = redact_headers({**fixed_headers(self.config), **headers, **secrets})
        log.info("%s %s %s", request.method, request.path, shown)

    def _raise_if_closed(self) -> None:
        # Exchanges in flight fail in various ways when another thread closes the client.
        if self._closed:
            self.check_open()

    def _is_hopeless(self, error: TinkexError, retries: Retries) -> bool:
        return (
            isinstance(error, ConnectError)
            and not self.had_contact
            and retries.attempt >= ATTEMPTS_BEFORE_FIRST_CONTACT
        )

    def _guard(self, operation: str) -> AbstractContextManager[None]:
        """Return what runs one call through the circuit breaker of its operation, if there is one.

        Calls without a usable response and those with a server error (5xx) count as failures. Heartbeats
        and telemetry bypass the breakers.
        """
        if self.breakers is None or request_class(operation) is RequestClass.BACKGROUND:
            return _UNGUARDED
        return self.breakers.get(operation).guard(_is_failure)


class Stream:
    """A response with its body unread, for the caller's thread."""

    def __init__(self, transport: Transport, opened: OpenResponse, seconds: float) -> None:
        self._transport = transport
        self._opened = opened
        self._seconds = seconds

    @property
    def headers(self) -> Headers:
        """Return the headers."""
        return self._opened.headers

    def iter_bytes(self) -> Iterator[bytes]:
        """Yield the decompressed body as it arrives.

        Raises:
            TransportError: The connection broke, or was silent for longer than an attempt may take.
        """
        while (chunk := self._transport.run(self._next())) is not None:
            yield chunk

    def read(self) -> bytes:
        """Return the rest of the body."""
        return b"".join(self.iter_bytes())

    def close(self) -> None:
        """Close the exchange, so that the server can stop working on it."""
        if self._transport.is_closed:
            return
        if loop.is_inside():
            # The garbage collector may run on any thread.
            loop.spawn(self._close())
        else:
            self._transport.run(self._close())

    async def _next(self) -> bytes | None:
        try:
            async with asyncio.timeout(self._seconds):
                return await self._opened.next_chunk()
        except TimeoutError:
            failure = self._transport.too_slow(f"no data for {self._seconds:g} s")
        except self._transport.engine.errors as error:
            failure = self._transport.engine.failure_of(error)
        raise failure

    async def _close(self) -> None:
        try:
            await self._opened.aclose()
        except Exception as error:  # noqa: BLE001 - closing is best effort
            log.debug("a stream did not close: %s", type(error).__name__)


class _Renewing:
    """Streamed content, each piece of which renews the attempt's deadline."""

    def __init__(self, content: Any, limit: asyncio.Timeout, seconds: float) -> None:
        self._content = content
        self._limit = limit
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self.error: Exception | None = None

    @property
    def size(self) -> int:
        """Return the total number of bytes."""
        return int(self._content.size)

    def __iter__(self) -> Iterator[bytes]:
        # Runs in a thread.
        try:
            for piece in self._content:
                self._loop.call_soon_threadsafe(self._renew)
                yield piece
        except Exception as error:
            self.error = error
            raise

    def _renew(self) -> None:
        if not self._limit.expired():
            self._limit.reschedule(self._loop.time() + self._seconds)


class _ServerFailedError(Exception):
    """Carries a server error through the circuit breaker."""

    def __init__(self, response: Response) -> None:
        super().__init__()
        self.response = response


def _breakers_of(config: Config, clock: Clock) -> CircuitBreakers | None:
    """Return the breakers of a server's operations, or None if they are off."""
    if config.breaker_failures is None:
        return None
    from tinkex._core.circuit_breaker import CircuitBreakers

    return CircuitBreakers(
        failure_threshold=config.breaker_failures,
        reset_timeout=config.breaker_reset,
        clock=clock,
    )


def _is_failure(error: BaseException) -> bool:
    return isinstance(error, TransportError | ServerError | _ServerFailedError) and not isinstance(
        error, CircuitOpenError
    )
