"""Follow one promised result on the server until it is there."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from enum import Enum, auto
from types import MappingProxyType
from typing import Any, Final, Generic, TypeVar

from attrs import define, field, frozen
from tinkex_generated.api.futures import retrieve_future, retrieve_future_binary
from tinkex_generated.models import FutureRetrieveRequest

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
from tinkex.events.bus import is_heard
from tinkex.limits import ByteBudget
from tinkex.protobuf import is_protobuf
from tinkex.transport.answer import Reply
from tinkex.transport.failures import is_retryable_status, message_of, printable
from tinkex.transport.http import Transport
from tinkex.transport.retry import Retries, RetryPolicy, retry_after_seconds
from tinkex.transport.unobserved import tell_failure
from tinkex.wire import binary
from tinkex.wire.json_arrays import load_with_arrays

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

log = logging.getLogger("tinkex.futures")

POLL_TIMEOUT = 45.0
# An answer that comes sooner was not held by the server, so asking again at once would be a storm.
HELD_AT_LEAST = 1.0
NOT_FOUND_GRACE = 120.0
BARE_400_LIMIT = 3
BYTES_PAUSE = 0.05
# A connection that is not there by then is trouble, however impatient the caller is.
CONNECT_PATIENCE = 5.0


@frozen
class Done(Generic[T_co]):
    """Carry the value of work that is finished."""

    value: T_co


class _Trouble(Enum):
    """Tell apart the kinds of bad answers that have patience of their own."""

    SERVER = auto()
    NOT_FOUND = auto()


@frozen
class _Spell:
    """Hold what has gone wrong in one way since the server last gave a good answer."""

    retries: Retries
    history: list[str] = field(factory=list)


@define(kw_only=True, eq=False)
class Promise(Generic[T]):
    """Poll one request id.

    Attributes:
        request_id: The server's name of the promise.
        request_type: What was asked for, in the server's words, such as "ForwardBackward".
        queue_state: What the server last said: "active", "paused_capacity", ….
        queue_state_reason: Its reason, if it gave one.
        last_heard: What the last poll brought, in a few words.
    """

    transport: Final[Transport]
    request_id: Final[str]
    request_type: Final[str]
    parse: Callable[[Any], T]
    response_bytes: Final[ByteBudget]
    resubmittable: Final[bool] = False
    roundtrip: Final[float | None] = None
    queue_state: str = "unknown"
    queue_state_reason: str | None = None
    last_heard: str = "nothing yet"
    _heard_at: float | None = None
    _iteration: int = 0
    _early_answers: int = 0
    _allow_metadata_only: bool = True
    _reserved_bytes: int = 0
    _spells: dict[_Trouble, _Spell] = field(factory=dict)
    _bare_400s: int = 0

    def heard(self) -> str:
        """Return what the last poll brought, why the queue lets it wait, and how long ago that was."""
        if self._heard_at is None:
            return self.last_heard
        why = f" ({self.queue_state_reason})" if self.queue_state_reason else ""
        ago = self.transport.clock.now() - self._heard_at
        return f"{self.last_heard}{why}, {ago:.1f} s ago"

    def step(self, patience: float) -> float | Done[T]:
        """Ask once; return the result, or the seconds to wait before asking again.

        Args:
            patience: Seconds after which the caller wants to be back.

        Raises:
            RequestFailedError: The job failed.
            FutureLostError: The server no longer knows the promise.
            ApiError: The server refuses to answer.
            TransportError: The server could not be reached for too long.
        """
        timeout = min(POLL_TIMEOUT, max(patience, 0.05))
        reserved = self._reserved_bytes
        if not reserved:
            return self._ask(timeout)
        if not self.response_bytes.try_take(reserved):
            return BYTES_PAUSE
        try:
            return self._ask(timeout)
        finally:
            self.response_bytes.give_back(reserved)

    def _ask(self, timeout: float) -> float | Done[T]:
        clock = self.transport.clock
        began = clock.now()
        route = retrieve_future_binary if self._takes_binary() else retrieve_future
        outcome = self.transport.send_once(
            route.build_request(
                body=FutureRetrieveRequest(
                    request_id=self.request_id, allow_metadata_only=self._allow_metadata_only
                )
            ),
            headers=self._headers(),
            timeout=timeout,
        )
        self._iteration += 1
        self._heard_at = clock.now()
        held = self._heard_at - began
        if isinstance(outcome, TransportError):
            return self._after_silence(outcome, held, timeout)
        self.last_heard = f"HTTP {outcome.status_code}"
        if outcome.status_code == 408:
            return self._still_pending(_mapping(outcome), held, outcome)
        if outcome.is_success:
            return self._read(outcome, held)
        return self._after_error_status(outcome)

    def _after_silence(self, error: TransportError, held: float, timeout: float) -> float:
        out_of_patience = timeout < CONNECT_PATIENCE and held >= timeout - 0.01
        if isinstance(error, ReadTimeoutError) or out_of_patience:
            # The server holds the poll for longer than we do; some hold it for minutes.
            self.last_heard = f"the poll was held for {held:.0f} s"
            return self._guard(held)
        self.last_heard = type(error).__name__
        return self._after_trouble(_Trouble.SERVER, error, None)

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

    def _read(self, response: Reply, held: float) -> float | Done[T]:
        if is_protobuf(response.headers.get("content-type", "")):
            return self._finish(response, response.content)
        body = _mapping(response, None)
        if body is None:
            raise self._refusal(response, "no JSON object")
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

    def _finish(self, response: Reply, result: Any) -> Done[T]:
        """Read the result itself: what its JSON holds, or the bytes of its binary form.

        Some servers send the latter whatever is asked for.
        """
        if isinstance(result, bytes):
            self._recover()
            if self.request_type not in binary.RESULTS:
                raise self._refusal(response, f"a {self.request_type} has no binary form")
        value = self._parsed(response, result)
        self.last_heard = "result"
        return Done(value)

    def _parsed(self, response: Reply, result: Any) -> T:
        try:
            return self.parse(result)
        except TinkexError:
            raise
        except (AttributeError, LookupError, TypeError, ValueError) as error:
            why = str(error)
        raise self._refusal(response, why)

    def _still_pending(self, body: Mapping[str, Any], held: float, response: Reply) -> float:
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
        self.last_heard = f"pending, {state}"
        self.queue_state = state
        self.queue_state_reason = self._redacted(reason) if reason else None

    def _guard(self, held: float) -> float:
        """Ask again at once if the server held the poll, and ever later if it did not."""
        if held >= HELD_AT_LEAST:
            self._early_answers = 0
            return 0.0
        self._early_answers += 1
        return min(0.02 * 2.0 ** min(self._early_answers, 10), 2.0)

    def _recover(self) -> None:
        if self._spells:
            log.info("polling %s %s works again", self.request_type, self.request_id)
        self._spells.clear()
        self._bare_400s = 0

    def _reserve(self, response: Reply, body: Mapping[str, Any]) -> float:
        if not self._allow_metadata_only:
            raise self._refusal(response, "metadata instead of the payload")
        size = body.get("response_payload_size")
        self._reserved_bytes = size if isinstance(size, int) and size > 0 else 1
        self._allow_metadata_only = False
        self.last_heard = f"a result of {self._reserved_bytes} bytes"
        return 0.0

    def _after_error_status(self, response: Reply) -> float:
        status = response.status_code
        error = self.transport.api_error(response, f"polling {self.request_type}")
        error.request_id = self.request_id
        retry_after = retry_after_seconds(response.headers)
        if status == 404:
            return self._after_trouble(_Trouble.NOT_FOUND, error, retry_after)
        if status == 410:
            raise self._lost("the server says that it has expired", 410)
        if status == 400:
            return self._after_400(response, error)
        if is_retryable_status(response, idempotent=True):
            return self._after_trouble(_Trouble.SERVER, error, retry_after)
        raise error

    def _after_400(self, response: Reply, error: ApiError) -> float:
        body = _mapping(response, None)
        says_nothing = response.content.strip() in (b"", b"null") or (
            body is not None and not any(body.values())
        )
        if says_nothing and self._bare_400s < BARE_400_LIMIT:
            # A proxy in between answers so; the promise itself is untouched.
            self._bare_400s += 1
            return self.transport.jitter(0.5)
        if body is not None and body.get("detail"):
            # Some servers report a failed job so.
            raise self._job_failure(message_of(body), body.get("category"))
        raise error

    def _after_trouble(
        self, kind: _Trouble, error: ApiError | TransportError, retry_after: float | None
    ) -> float:
        spell = self._spells.get(kind)
        is_news = spell is None or not spell.history[-1].endswith(f": {self.last_heard}")
        if spell is None:
            spell = self._spells[kind] = _Spell(self._patience(kind))
        spell.history.append(f"{spell.retries.elapsed:.1f} s: {self.last_heard}")
        wait = spell.retries.next_wait(retry_after=retry_after)
        if is_heard():
            tell_failure("retrieve_future", self.transport.session_id, spell.retries, error, wait)
        if wait is not None:
            log.log(
                logging.WARNING if is_news else logging.DEBUG,
                "polling %s %s: %s; next poll in %.1f s",
                self.request_type, self.request_id, self.last_heard, wait,
            )  # fmt: skip
            return wait
        if kind is _Trouble.NOT_FOUND:
            raise self._lost(f"the server has not known it for {spell.retries.elapsed:.0f} s", 404)
        error.request_id = self.request_id
        error.attempts = tuple(spell.history)
        error.message += f"; {spell.retries.refusal}. The job may go on at the server"
        raise error

    def _patience(self, kind: _Trouble) -> Retries:
        transport = self.transport
        deadline = NOT_FOUND_GRACE if kind is _Trouble.NOT_FOUND else transport.policy.deadline
        return Retries(
            RetryPolicy(max_attempts=10**9, deadline=deadline),
            transport.budget,
            transport.clock,
            transport.jitter,
            outlasts_budget=True,
        )

    def _job_failure(self, said: Any, category: Any) -> RequestFailedError:
        if isinstance(said, Mapping):
            category = category or said.get("category")
            said = message_of({"error": said}) or said
        known: Category = {"user": "user", "server": "server"}.get(str(category).lower(), "unknown")  # type: ignore[assignment]
        return RequestFailedError(
            f"{self.request_type} failed: {self._redacted(said) or 'the server gave no reason'}",
            request_id=self.request_id,
            category=known,
            retryable=known == "server",
        )

    def _redacted(self, said: Any) -> str:
        return self.transport.redact(printable(str(said or "")))

    def _lost(self, why: str, status: int) -> FutureLostError:
        advice = (
            "sampling changes nothing, so the same request can be sent again"
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

    def _refusal(self, response: Reply, why: str) -> DecodeError:
        error = self.transport.decode_error(response, f"polling {self.request_type}", why)
        error.request_id = self.request_id
        return error


def _mapping(response: Reply, default: Any = MappingProxyType({})) -> Any:
    """Return the answer's JSON object, or the default if it is none."""
    try:
        body = load_with_arrays(response.content)
    except ValueError:
        return default
    return body if isinstance(body, Mapping) else default
