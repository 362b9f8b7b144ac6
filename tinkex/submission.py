"""Send a model's requests in order, each under the next number, without a gap."""

from __future__ import annotations

import contextlib
import logging
import re
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from tinkex_generated.errors import ParseError
from tinkex_generated.types import Request

from tinkex.errors import (
    ApiError,
    CircuitOpenError,
    ClientClosedError,
    ConflictError,
    DecodeError,
    RateLimitError,
    ServerError,
    TinkexError,
    TransportError,
)
from tinkex.futures import Future
from tinkex.polling import Done, Promise
from tinkex.scope import current_scope
from tinkex.session import Session
from tinkex.wire.json_arrays import load_with_arrays
from tinkex.work import PromisedWork, Work

T = TypeVar("T")
Parse = Callable[[Mapping[str, Any]], Any]
Reconcile = Callable[[float], Any]

log = logging.getLogger("tinkex.training")

# What they do can contradict nothing but another request under the same number.
_NAMELESS = frozenset({"forward", "forward_backward", "optim_step"})

# Attempts that certainly did nothing, as the history of an error names them.
_WITHOUT_EFFECT = re.compile(r"HTTP 4(?!08)\d\d|ConnectError|ProxyError|TLSError")


def work_from_answer(
    session: Session, body: Any, request_type: str, parse: Parse, roundtrip: float | None = None
) -> Work[Any]:
    """Return the work that an answer leaves: a promise to poll, or none if the result is in it.

    Raises:
        ParseError: It is neither.
    """
    part = _part(session, body, request_type, parse, roundtrip)
    return PromisedWork([part], _only)


def _part(
    session: Session, body: Any, request_type: str, parse: Parse, roundtrip: float | None
) -> Promise[Any] | Done[Any]:
    if isinstance(body, Mapping) and isinstance(body.get("request_id"), str):
        return promise(session, body["request_id"], request_type, parse, roundtrip)
    try:
        return Done(parse(body))
    except (TinkexError, ParseError):
        raise
    except (AttributeError, LookupError, TypeError, ValueError) as error:
        raise ParseError("", f"is neither a promise nor a result ({error})") from None


def promise(
    session: Session,
    request_id: str,
    request_type: str,
    parse: Parse,
    roundtrip: float | None = None,
    *,
    resubmittable: bool = False,
) -> Promise[Any]:
    """Return the promise of a request id in a session."""
    return Promise(
        transport=session.transport,
        request_id=request_id,
        request_type=request_type,
        parse=parse,
        response_bytes=session.limiter.response_bytes,
        resubmittable=resubmittable,
        roundtrip=roundtrip,
    )


def future(
    session: Session, work: Work[T], operation: str, subject: str | None = None
) -> Future[T]:
    """Return the future of a session's work; `subject` is the model or sampler it belongs to.

    It keeps the scope in which it was asked for, see `Session.scope`.
    """
    scope = current_scope()
    if scope is not None:
        scope = scope.keep() if scope.is_free_for(operation) else None
    return Future(
        work,
        operation=operation,
        clock=session.transport.clock,
        background=session.background,
        session_id=session.id,
        subject=subject,
        queue_watch=session.queue_watch,
        scope=scope,
    )


def _only(results: list[Any]) -> Any:
    return results[0]


class SubmissionQueue:
    """Give one model's requests their numbers and send them one after the other.

    The server applies a model's requests in the order of their numbers and waits for a missing
    one, so a number is used up only when its request was accepted:

    - A request that the server refuses leaves its number to the next one.
    - A request whose fate is unknown (no usable answer came, however often it was sent, or the
      wait was interrupted) leaves its number too. Sending the same call again is safe: the server
      recognises number and bytes, and applies them once. Another call under that number is answered
      with a conflict if the first one did arrive; then the number counts as used and the error says
      so.
    """

    def __init__(self, session: Session, first_number: int = 1) -> None:
        self.session = session
        self._next = first_number
        self._unsure: str | None = None
        self._turn = threading.RLock()
        self._closed = False

    def submit(
        self,
        build: Sequence[Callable[[int], Request]],
        *,
        request_type: str,
        parse: Parse,
        combine: Callable[[list[Any]], Any] = _only,
        reconcile: Reconcile | None = None,
    ) -> Work[Any]:
        """Send one call's requests in order, with no other call's in between.

        Args:
            build: For each request, a function from its number to the request.
            request_type: The server's word for the kind of request.
            parse: Reads one result.
            combine: Makes one result of all.
            reconcile: After a conflict with what an earlier attempt of the same request may have
                done, returns its result if it is there, else None; gets the seconds since then.

        Raises:
            ApiError: The server refused a request.
            TransportError: No answer came; the same call may be made again.
        """
        with self._turn:
            self._check()
            # All requests are built before any is sent, so that bad data cannot stop half a batch.
            requests = [make(self._next + i) for i, make in enumerate(build)]
            parts: list[Promise[Any] | Done[Any]] = []
            for request in requests:
                try:
                    parts.append(self._send(request, request_type, parse, reconcile))
                except TinkexError as error:
                    self._explain(error, request.operation, len(parts), len(requests))
                    raise
            return PromisedWork(parts, combine)

    @property
    def next_number(self) -> int:
        """Return the number that the next accepted request takes."""
        return self._next

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Keep other threads' requests out while several calls are submitted as one."""
        with self._turn:
            yield

    def close(self) -> None:
        """Refuse further submissions."""
        self._closed = True

    def _check(self) -> None:
        if self._closed:
            raise ClientClosedError("this model was unloaded; create a new training client")
        self.session.check()

    def _send(
        self, request: Request, request_type: str, parse: Parse, reconcile: Reconcile | None
    ) -> Promise[Any] | Done[Any]:
        transport = self.session.transport
        began = transport.clock.now()
        before, self._unsure = self._unsure, request.operation
        try:
            answer = transport.send(request)
            roundtrip = transport.clock.now() - began
            part = transport.parsed(
                answer,
                lambda content: _part(
                    self.session, decoded(content), request_type, parse, roundtrip
                ),
                request.operation,
            )
        except CircuitOpenError:
            # Nothing was sent.
            self._unsure = before
            raise
        except (TransportError, ServerError, RateLimitError):
            raise
        except ConflictError as error:
            self._unsure = before
            began_seconds_ago = transport.clock.now() - began
            result = self._settle_conflict(request.operation, error, reconcile, began_seconds_ago)
            if result is None:
                raise
            part = Done(result)
        except ApiError:
            # Refused: this one has not taken the number. One before it may have.
            self._unsure = before
            raise
        self._next += 1
        self._unsure = None
        return part

    def _explain(self, error: TinkexError, operation: str, accepted: int, parts: int) -> None:
        error.session_id = error.session_id or self.session.id
        if accepted:
            error.message += (
                f" — {accepted} of {parts} parts of this batch were accepted before it, and their "
                "gradients stand; load your last checkpoint before you repeat the batch"
            )
        elif isinstance(error, DecodeError) and error.status_code == 200:
            error.message += (
                f". The {operation} did arrive: make the same call again, and it is applied exactly "
                "once"
            )
        elif isinstance(error, TransportError | ServerError | RateLimitError) and not isinstance(
            error, CircuitOpenError
        ):
            error.message += (
                f". It is not known whether this {operation} arrived: make the same call again, "
                "and it is applied exactly once"
            )

    def _settle_conflict(
        self, operation: str, error: ApiError, reconcile: Reconcile | None, seconds: float
    ) -> Any | None:
        """Find out what holds the number or the name; return the result if it is this very call."""
        if _may_have_arrived_before(error):
            if reconcile is not None and (result := reconcile(seconds)) is not None:
                log.info("%s: an earlier attempt did arrive; its result was looked up", operation)
                return result
            if _is_about_number(operation, error):
                error.message += (
                    f". An earlier attempt of this {operation} did arrive and was applied, but the "
                    "server does not know it again, so its result is lost; go on with the next call"
                )
                self._use_up(operation)
        elif self._unsure is not None and _is_about_number(operation, error):
            error.message += (
                f". The {self._unsure} before it, whose fate was unknown, did arrive and was "
                f"applied; call {operation} again to go on after it"
            )
            self._use_up(self._unsure)
        return None

    def _use_up(self, operation: str) -> None:
        log.warning("number %d was taken by the %s before", self._next, operation)
        self._next += 1
        self._unsure = None


def _may_have_arrived_before(error: ApiError) -> bool:
    """Tell whether an attempt before the last may have taken effect, though no answer said so."""
    return any(not _WITHOUT_EFFECT.search(attempt) for attempt in error.attempts[:-1])


def _is_about_number(operation: str, error: ApiError) -> bool:
    """Tell a number that is taken from a name that is, and from whatever else is a conflict."""
    return operation in _NAMELESS or "seq" in error.body.lower()


def decoded(content: bytes) -> Any:
    """Return the JSON of a body; a ParseError says that it is none."""
    try:
        return load_with_arrays(content)
    except ValueError:
        raise ParseError("", f"is no JSON ({len(content)} bytes)") from None
