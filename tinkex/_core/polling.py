"""Polling of the server's promises until their results are available."""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Callable, Mapping, Sequence
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Final, Generic, Protocol, TypeVar

from attrs import define, field, frozen
from tinkex_generated.api.futures import retrieve_future, retrieve_future_binary
from tinkex_generated.models import FutureRetrieveRequest

from tinkex._base.protobuf import is_protobuf
from tinkex._base.redaction import safe_text
from tinkex._core.completions import Completions
from tinkex._core.failures import message_of
from tinkex._core.limits import ByteBudget
from tinkex._core.response import Response
from tinkex._core.retry import Retries, RetryPolicy, is_repeatable, retry_after_seconds
from tinkex._core.transport import Transport
from tinkex._core.wire import binary
from tinkex._core.wire.json_arrays import load_with_arrays
from tinkex.errors import (
    ApiError,
    Category,
    DecodeError,
    FutureLostError,
    ReadTimeoutError,
    RequestFailedError,
    TinkexError,
    TransportError,
)
from tinkex.types.states import RequestErrorCategory

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

log = logging.getLogger("tinkex.futures")

# Some servers hold polls for five minutes.
LONGEST_POLL_TIMEOUT = 330.0
# Faster responses were not held by the server; polling again at once would flood it.
HELD_AT_LEAST = 1.0
NOT_FOUND_GRACE = 120.0
BARE_400_LIMIT = 3
# With these a server reports that the job failed, not that the poll did.
_JOB_FAILURES = frozenset({409, 422})
# These statuses do not depend on the promise: they are about the caller, or are transient.
_SAYS_NOTHING = frozenset({401, 402, 403, 408, 425, 429})
# After this many consecutive 500s, another poll tests whether only this result fails.
FAILED_POLLS = 5
PROBE_TIMEOUT = 10.0
LONG_ID = 16


@frozen
class Done(Generic[T_co]):
    """A result that is available."""

    value: T_co


class _Trouble(Enum):
    """The types of bad responses, each with its own deadline."""

    SERVER = auto()
    NOT_FOUND = auto()


@define(kw_only=True, eq=False)
class Promise(Generic[T]):
    """A pending result on the server, identified by its request id.

    Attributes:
        request_id: The server's id of the promise.
        request_type: The type of request, in the server's terms, such as "ForwardBackward".
        completions: Reports that the result is available, where the server does that for many at once.
        on_queue_state: Called with state and reason whenever the queue state changes.
        on_end: Called when polling ends, with the error status that reported a failed job, else with
            None.
        queue_state: The latest queue state: "active", "paused_capacity", ….
        queue_state_reason: The server's reason, if it gave one.
        last_outcome: The outcome of the last poll, in a few words.
    """

    transport: Final[Transport]
    request_id: Final[str]
    request_type: Final[str]
    parse: Callable[[Any], T]
    response_bytes: Final[ByteBudget]
    resubmittable: Final[bool] = False
    roundtrip: Final[float | None] = None
    completions: Completions | None = None
    on_queue_state: Callable[[str, str | None], object] | None = None
    on_end: Callable[[int | None], object] | None = None
    queue_state: str = "unknown"
    queue_state_reason: str | None = None
    last_outcome: str = "nothing yet"
    _asked_at: float = 0.0
    _heard_at: float | None = None
    _iteration: int = 0
    _early_answers: int = 0
    _allow_metadata_only: bool = True
    _reserved_bytes: int = 0
    _troubles: dict[_Trouble, Retries] = field(factory=dict)
    _bare_400s: int = 0
    _failed_polls: int = 0
    _was_compared: bool = False
    _problem_before: str = ""

    def last_status(self) -> str:
        """Return the outcome of the last poll, the queue's reason for a pause, and its age."""
        if self._heard_at is None:
            return self.last_outcome
        why = f" ({self.queue_state_reason})" if self.queue_state_reason else ""
        ago = self.transport.clock.now() - self._heard_at
        return f"{self.last_outcome}{why}, {ago:.1f} s ago"

    async def follow(self) -> T:
        """Poll until the result is available, and return it.

        Raises:
            RequestFailedError: The job failed.
            FutureLostError: The server no longer knows the promise.
            ApiError: The server refuses to return the result.
            TransportError: The server was unreachable for too long.
        """
        refusal: int | None = None
        try:
            return await self._followed()
        except RequestFailedError as error:
            refusal = error.status_code
            raise
        finally:
            if self.on_end is not None:
                self.on_end(refusal)

    async def _followed(self) -> T:
        while True:
            if self.completions is not None and not self._reserved_bytes:
                await self.completions.wait(self.request_id)
            outcome = await (self.poll() if self._reserved_bytes else self._ask())
            if isinstance(outcome, Done):
                if self.completions is not None:
                    self.completions.retrieved(self.request_id)
                return outcome.value
            if outcome > 0:
                await self.transport.clock.pause(outcome)

    async def poll(self) -> float | Done[T]:
        """Poll once; return the result, or the seconds to wait before the next poll."""
        if not self._reserved_bytes:
            return await self._ask()
        async with self.response_bytes.held(self._reserved_bytes):
            return await self._ask()

    async def _ask(self) -> float | Done[T]:
        transport = self.transport
        began = self._asked_at = transport.clock.now()
        route = retrieve_future_binary if self._takes_binary() else retrieve_future
        request = route.build_request(
            body=FutureRetrieveRequest(
                request_id=self.request_id, allow_metadata_only=self._allow_metadata_only
            )
        )
        response: Response | None = None
        failure: TransportError | None = None
        try:
            response = await transport.attempt(
                request, headers=self._headers(), timeout=transport.poll_timeout
            )
        except TransportError as error:
            failure = error
        self._iteration += 1
        self._heard_at = transport.clock.now()
        held = self._heard_at - began
        if response is None or failure is not None:
            return self._after_silence(failure or TransportError("no response came"), held)
        self.last_outcome = f"HTTP {response.status_code}"
        if response.status_code == 408:
            return self._still_pending(_mapping(response), held, response)
        if response.is_success:
            return self._read(response, held)
        return await self._after_error_status(response)

    def _after_silence(self, error: TransportError, held: float) -> float:
        if isinstance(error, ReadTimeoutError):
            # This server holds polls for longer, or the connection died silently.
            self.transport.poll_timeout = LONGEST_POLL_TIMEOUT
            self.last_outcome = f"the poll was held for {held:.0f} s"
            return self._guard(held)
        self.last_outcome = type(error).__name__
        return self._after_trouble(_Trouble.SERVER, error)

    def _takes_binary(self) -> bool:
        wanted = self.transport.config.wire_format != "json"
        return wanted and self.request_type in binary.RESULTS

    def _headers(self) -> dict[str, str]:
        headers = {
            "X-Tinker-Request-Iteration": str(self._iteration),
            "X-Tinker-Request-Type": self.request_type,
        }
        if self._iteration == 0 and self.roundtrip is not None:
            headers["X-Tinker-Create-Promise-Roundtrip-Time"] = f"{self.roundtrip:.6f}"
        return headers

    def _read(self, response: Response, held: float) -> float | Done[T]:
        if is_protobuf(response.headers.get("content-type", "")):
            return self._finish(response, response.content)
        body = _mapping(response, None)
        if body is None:
            raise self._refusal(response, "not a JSON object")
        status = body.get("status")
        if body.get("type") == "try_again" or status == "pending":
            return self._still_pending(body, held, response)
        self._recover()
        if status == "complete_metadata":
            return self._reserve(response, body)
        if status == "failed" or body.get("error") is not None:
            raise self._job_failure(body.get("error"), body.get("category"))
        result = body["result"] if status == "completed" and "result" in body else body
        return self._finish(response, result)

    def _finish(self, response: Response, result: Any) -> Done[T]:
        """Parse the result, from JSON or from the binary format.

        Some servers send the binary format whatever the request accepts.
        """
        if isinstance(result, bytes):
            self._recover()
            if self.request_type not in binary.RESULTS:
                raise self._refusal(response, f"a {self.request_type} has no binary format")
        value = self._parsed(response, result)
        self.last_outcome = "result"
        return Done(value)

    def _parsed(self, response: Response, result: Any) -> T:
        try:
            return self.parse(result)
        except TinkexError:
            raise
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            why = str(error)
        raise self._refusal(response, why)

    def _still_pending(self, body: Mapping[str, Any], held: float, response: Response) -> float:
        self._recover()
        self._note_queue(str(body.get("queue_state") or "active"), body.get("queue_state_reason"))
        asked = body.get("retry_after_ms")
        if isinstance(asked, int | float) and not isinstance(asked, bool) and asked > 0:
            seconds: float | None = asked / 1000
        else:
            seconds = retry_after_seconds(response.headers)
        if seconds is None:
            return self._guard(held)
        return max(0.02, min(seconds, self.transport.policy.longest_retry_after))

    def _note_queue(self, state: str, reason: Any) -> None:
        self.last_outcome = f"pending, {state}"
        shown = self._redacted(reason) if reason else None
        if (state, shown) != (self.queue_state, self.queue_state_reason):
            self.queue_state, self.queue_state_reason = state, shown
            if self.on_queue_state is not None:
                self.on_queue_state(state, shown)

    def _guard(self, held: float) -> float:
        """Poll again at once if the server held the poll, and with growing pauses if it did not."""
        if held >= HELD_AT_LEAST:
            self._early_answers = 0
            return 0.0
        self._early_answers += 1
        return min(0.02 * 2.0 ** min(self._early_answers, 10), 2.0)

    def _recover(self) -> None:
        if self._troubles:
            log.info("polling %s %s works again", self.request_type, self.request_id)
        self._troubles.clear()
        self._bare_400s = self._failed_polls = 0
        self._was_compared = False
        self._problem_before = ""

    def _reserve(self, response: Response, body: Mapping[str, Any]) -> float:
        if not self._allow_metadata_only:
            raise self._refusal(response, "metadata instead of the payload")
        size = body.get("response_payload_size")
        self._reserved_bytes = size if isinstance(size, int) and size > 0 else 1
        self._allow_metadata_only = False
        self.last_outcome = f"a result of {self._reserved_bytes} bytes"
        return 0.0

    async def _after_error_status(self, response: Response) -> float:
        status = response.status_code
        error = self.transport.api_error(response, f"polling {self.request_type}")
        error.request_id = self.request_id
        if status in _JOB_FAILURES or (status == 404 and await self._is_job_failure(response)):
            raise self._refused_job(response)
        if status == 404:
            return self._after_trouble(_Trouble.NOT_FOUND, error)
        if status == 410:
            raise self._lost("the server says that it has expired", 410)
        if status == 400:
            return self._after_400(response, error)
        if status == 500 and await self._is_unwritable():
            raise self._unwritable(response)
        return self._after_trouble(_Trouble.SERVER, error)

    async def _is_job_failure(self, response: Response) -> bool:
        """Return whether a 404 is about what the job was to work on, not about the promise.

        The server is asked for a promise that does not exist: what it says of that one, it says of
        a promise that it does not know. A proxy, or a replica that lags behind, says something else
        for a moment only.
        """
        before, self._problem_before = self._problem_before, _problem(response, self.request_id)
        problem = self._problem_before
        if self._was_compared or not problem or problem != before:
            return False
        self._was_compared = True
        stranger = _stranger(self.request_id)
        other = await self._probe(stranger)
        return other is not None and (
            other.status_code != 404 or _problem(other, stranger) != problem
        )

    async def _is_unwritable(self) -> bool:
        """Return whether the server fails only for this result, and not for all polls."""
        self._failed_polls += 1
        if self._failed_polls % FAILED_POLLS:
            return False
        return await self._probe(_stranger(self.request_id)) is not None

    async def _probe(self, request_id: str) -> Response | None:
        """Poll another promise once; None if the response says nothing about it."""
        request = retrieve_future.build_request(body=FutureRetrieveRequest(request_id=request_id))
        try:
            response = await self.transport.attempt(request, timeout=PROBE_TIMEOUT)
        except TransportError:
            return None
        is_informative = response.status_code < 500 and response.status_code not in _SAYS_NOTHING
        return response if is_informative else None

    def _refused_job(self, response: Response) -> RequestFailedError:
        """Return the error of a job whose failure was reported by an error status."""
        body = _mapping(response)
        failure = self._job_failure(message_of(body), body.get("category"))
        failure.status_code = response.status_code
        return failure

    def _unwritable(self, response: Response) -> RequestFailedError:
        reason = message_of(_mapping(response)) or response.content[:200].decode("utf-8", "replace")
        return RequestFailedError(
            f"the result of {self.request_type} is unavailable: {self._failed_polls} polls "
            f"failed with HTTP 500 ({self._redacted(reason) or 'the server gave no reason'}), while "
            "the server responds to polls for others. The work itself may have been done: look at the "
            "model (or load its last checkpoint) before repeating it",
            request_id=self.request_id,
            status_code=500,
            category="server",
        )

    def _after_400(self, response: Response, error: ApiError) -> float:
        body = _mapping(response, None)
        says_nothing = response.content.strip() in (b"", b"null") or (
            body is not None and not any(body.values())
        )
        if says_nothing and self._bare_400s < BARE_400_LIMIT:
            # Probably from a proxy in between; the promise itself is intact.
            self._bare_400s += 1
            return self.transport.jitter(0.5)
        if body is not None and body.get("detail"):
            # Some servers report a failed job this way.
            raise self._refused_job(response)
        raise error

    def _after_trouble(self, kind: _Trouble, error: ApiError | TransportError) -> float:
        retries = self._troubles.get(kind)
        if retries is None:
            retries = self._troubles[kind] = self._retries(kind)
        retries.attempt_began = self._asked_at
        is_news = not retries.history or not retries.history[-1].endswith(f": {self.last_outcome}")
        error.request_id = self.request_id
        try:
            return retries.wait_after(
                error,
                repeatable=kind is _Trouble.NOT_FOUND or is_repeatable(error, "retrieve_future"),
                level=logging.WARNING if is_news else logging.DEBUG,
            )
        except (ApiError, TransportError):
            if kind is _Trouble.NOT_FOUND:
                why = f"the server has not found it for {retries.elapsed:.0f} s"
                raise self._lost(why, 404) from None
            if retries.refusal:
                error.message += ". The job may still be running on the server"
            raise

    def _retries(self, kind: _Trouble) -> Retries:
        deadline = self.transport.policy.deadline
        if kind is _Trouble.NOT_FOUND:
            deadline = NOT_FOUND_GRACE
        return self.transport.retries(
            "retrieve_future",
            RetryPolicy(max_attempts=10**9, deadline=deadline),
            outlasts_budget=True,
        )

    def _job_failure(self, reason: Any, category: Any) -> RequestFailedError:
        if isinstance(reason, Mapping):
            category = category or reason.get("category")
            reason = message_of({"error": reason}) or reason
        known: Category = RequestErrorCategory.parse(category).value
        return RequestFailedError(
            f"{self.request_type} failed: {self._redacted(reason) or 'the server gave no reason'}",
            request_id=self.request_id,
            category=known,
            retryable=known == "server",
        )

    def _redacted(self, text: Any) -> str:
        return safe_text(str(text or ""))

    def _lost(self, why: str, status: int) -> FutureLostError:
        advice = (
            "sampling has no side effects, so the same request can be sent again"
            if self.resubmittable
            else "the work itself may have been done: look at the model (or load its last "
            "checkpoint) before repeating it"
        )
        return FutureLostError(
            f"the result of {self.request_type} is lost: {why}; {advice}",
            resubmittable=self.resubmittable,
            request_id=self.request_id,
            status_code=status,
        )

    def _refusal(self, response: Response, why: str) -> DecodeError:
        error = self.transport.decode_error(response, f"polling {self.request_type}", why)
        error.request_id = self.request_id
        return error


class Work(Protocol[T_co]):
    """The exchanges that a call still needs after its request was sent."""

    @property
    def promise(self) -> Promise[Any] | None:
        """Return the promise that is being polled, if any."""
        ...

    def on_queue_state(self, observer: Callable[[str, str | None], object] | None) -> None:
        """Call a function with state and reason whenever the queue state changes; None removes it."""
        ...

    async def result(self) -> T_co:
        """Do the exchanges and return the result."""
        ...


class PromisedWork:
    """The promises of one call, polled in order, and their combined result.

    A part whose result came with the response is among the promises as `Done`.
    """

    def __init__(
        self,
        parts: Sequence[Promise[Any] | Done[Any]],
        combine: Callable[[list[Any]], Any],
    ) -> None:
        self._parts = parts
        self._combine = combine
        self._current: Promise[Any] | None = None
        self._results: list[Any] = []

    @property
    def promise(self) -> Promise[Any] | None:
        """Return the promise that is being polled, else the first one."""
        promises = (part for part in self._parts if isinstance(part, Promise))
        return self._current or next(promises, None)

    def on_queue_state(self, observer: Callable[[str, str | None], object] | None) -> None:
        """Call a function whenever the queue state of a part changes; None removes it."""
        for part in self._parts:
            if isinstance(part, Promise):
                part.on_queue_state = observer

    async def result(self) -> Any:
        """Poll the promises one after the other, and return the combined result.

        After an error it may be called again, and resumes where it stopped.
        """
        for part in self._parts[len(self._results) :]:
            self._results.append(part.value if isinstance(part, Done) else await self._of(part))
        try:
            return self._combine(self._results)
        except TinkexError as error:
            error.request_id = self.promise.request_id if self.promise else None
            raise

    async def _of(self, promise: Promise[Any]) -> Any:
        self._current = promise
        try:
            return await promise.follow()
        except TinkexError as error:
            if len(self._parts) > 1:
                error.message = f"part {len(self._results) + 1} of {len(self._parts)} of the batch: {error.message}"
            raise


def _mapping(response: Response, default: Any = MappingProxyType({})) -> Any:
    """Return the response's JSON object, or the default if it is not one."""
    try:
        body = load_with_arrays(response.content)
    except ValueError:
        return default
    return body if isinstance(body, Mapping) else default


def _problem(response: Response, request_id: str) -> str:
    """Return the text of an error response without the promise's id."""
    return message_of(_mapping(response)).replace(request_id, "")


def _stranger(request_id: str) -> str:
    """Return an unused promise id in the format of the server's ids."""
    if sum(map(str.isalnum, request_id)) >= LONG_ID:
        return "".join(
            random.choice("0123456789abcdef") if letter.isalnum() else letter
            for letter in request_id
        )  # fmt: skip
    # Short ids count upwards, and servers read them as integers of 32 bits.
    number = str(random.randint(2 * 10**9, 2 * 10**9 + 10**8))
    changed = re.sub(r"\d+", number, request_id)
    return changed if changed != request_id else request_id + number
