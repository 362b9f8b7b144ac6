"""Ordered submission of a model's requests, numbered without gaps."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any, TypeVar

from attrs import frozen
from tinkex_generated.errors import ParseError
from tinkex_generated.types import Request

from tinkex._core.futures import Future
from tinkex._core.operation_context import current_context
from tinkex._core.polling import Done, Promise, PromisedWork, Work
from tinkex._core.queue_state import QueueObserver
from tinkex._core.retry import Retries
from tinkex._core.session import Session
from tinkex._core.wire.json_arrays import load_with_arrays
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

T = TypeVar("T")
Parse = Callable[[Mapping[str, Any]], Any]

log = logging.getLogger("tinkex.training")

CONFLICT = 409


@frozen
class NameLookup:
    """What the server has under the name of a save whose response is missing.

    Attributes:
        is_taken: Whether a checkpoint of that name exists; None if the server does not say.
        result: The save's result, if that checkpoint was made after the first attempt began.
    """

    is_taken: bool | None
    result: Any = None


# Takes the seconds since the first attempt began.
LookUp = Callable[[float], Awaitable[NameLookup]]


def work_from_response(
    session: Session, body: Any, request_type: str, parse: Parse, roundtrip: float | None = None
) -> Work[Any]:
    """Return the work that a response leaves: a promise to poll, or none if it holds the result.

    Raises:
        ParseError: It is neither a promise nor a result.
    """
    return PromisedWork([_part(session, body, request_type, parse, roundtrip)], _only)


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
    """Return the promise with a request id in a session."""
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
    session: Session,
    work: Work[T],
    operation: str,
    subject: str | None = None,
    queue_state_observer: QueueObserver | None = None,
) -> Future[T]:
    """Return the future of a session's work; `subject` is its model or sampler.

    It keeps the operation context of its call, see `Session.operation`.
    """
    context = current_context()
    if context is not None:
        context = context.keep() if context.is_free_for(operation) else None
    made = Future(
        work,
        operation=operation,
        session_id=session.id,
        subject=subject,
        queue_watch=session.queue_watch,
        context=context,
        queue_state_observer=queue_state_observer,
    )
    session.unfinished.start(made)
    return made


def _only(results: list[Any]) -> Any:
    return results[0]


class SubmissionQueue:
    """One model's requests, numbered and sent one after the other.

    The server applies a model's requests in the order of their numbers and waits for a missing one. A
    number is therefore used up only when its request was accepted:

    - A request that the server refuses frees its number for the next one.
    - A request whose fate is unknown (no usable response after all attempts, or an interrupted wait)
      keeps its number free as well. Making the same call again is safe: the server recognises the
      number and the bytes, and applies them once. A different call with that number gets a conflict
      if the first one did arrive; the number then counts as used, and the error says so.
    - A request whose job failed has used up its number on most servers, but not on all. If an error
      status of a poll reported the failure, the next request is sent with that number; if the server
      refuses it as taken, the request is sent again with the number after all others.
    """

    def __init__(self, session: Session, first_number: int = 1) -> None:
        self.session = session
        self._next = first_number
        # Numbers whose jobs have not ended.
        self._open: set[int] = set()
        # Numbers of failed jobs that may be free, with the server's ids of those jobs.
        self._doubtful: dict[int, str] = {}
        # What the number was before one of these was taken.
        self._furthest = 0
        # Filled on the loop's thread: number, request id, and the status that reported a failure.
        self._ended: deque[tuple[int, str, int | None]] = deque()
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
        look_up: LookUp | None = None,
        tentative: bool = False,
    ) -> Work[Any]:
        """Send one call's requests in order, without requests of other calls in between.

        Args:
            build: For each request, a function from its number to the request.
            request_type: The type of request, in the server's terms.
            parse: Parses one result.
            combine: Combines all results.
            look_up: After a conflict, looks up the checkpoint that the request saves.
            tentative: Whether an error status of the first request is raised at once, without
                retries and without resolving conflicts.

        Raises:
            ApiError: The server refused a request.
            TransportError: No response came; making the same call again is safe.
        """
        with self._turn:
            self._check()
            number, furthest = self.next_number, self._next

            def send() -> Work[Any]:
                # All requests are built before any is sent: invalid data cannot stop a batch halfway.
                requests = [make(self._next + i) for i, make in enumerate(build)]
                return self.session.transport.run(
                    self._send_all(
                        requests, request_type, parse, combine, look_up, tentative=tentative
                    )
                )

            if number == furthest:
                return send()
            self._next, self._furthest = number, furthest
            try:
                return send()
            except (ConflictError, _ReplayedError):
                if self._next != number:
                    raise
            except BaseException:
                if self._next == number:
                    self._next = furthest
                raise
            log.debug(
                "number %d belongs to the job that failed; continuing with %d", number, furthest
            )
            self._doubtful.clear()
            self._next = furthest
            return send()

    @property
    def next_number(self) -> int:
        """Return the number of the next request."""
        self._take_note()
        if self._doubtful and not self._open:
            return max(self._doubtful)
        return self._next

    def _take_note(self) -> None:
        """Sort out which numbers the jobs that have ended meanwhile may have left free."""
        while self._ended:
            number, request_id, refusal = self._ended.popleft()
            self._open.discard(number)
            if refusal is None or refusal >= 500:
                # The server is past this number, and so past those before it.
                for passed in [other for other in self._doubtful if other <= number]:
                    del self._doubtful[passed]
                self._furthest = 0
            elif refusal != CONFLICT:
                self._doubtful[number] = request_id
            else:
                # It was not this number's turn.
                self._doubtful.pop(number, None)
                if not self._doubtful:
                    self._next = max(self._next, self._furthest)

    @contextlib.contextmanager
    def turn(self) -> Iterator[None]:
        """Block other threads' requests while several calls are submitted as one."""
        with self._turn:
            yield

    def close(self) -> None:
        """Refuse further submissions."""
        self._closed = True

    def _check(self) -> None:
        if self._closed:
            raise ClientClosedError("this model was unloaded; create a new training client")
        self.session.check()

    async def _send_all(
        self,
        requests: Sequence[Request],
        request_type: str,
        parse: Parse,
        combine: Callable[[list[Any]], Any],
        look_up: LookUp | None,
        *,
        tentative: bool,
    ) -> Work[Any]:
        parts: list[Promise[Any] | Done[Any]] = []
        for request in requests:
            is_first = tentative and not parts
            try:
                parts.append(
                    await self._send(request, request_type, parse, look_up, tentative=is_first)
                )
            except TinkexError as error:
                self._explain(error, request.operation, len(parts), len(requests))
                raise
        return PromisedWork(parts, combine)

    async def _send(
        self,
        request: Request,
        request_type: str,
        parse: Parse,
        look_up: LookUp | None,
        *,
        tentative: bool,
    ) -> Promise[Any] | Done[Any]:
        transport = self.session.transport
        retries = transport.retries(request.operation)
        before, self._unsure = self._unsure, request.operation
        try:
            response = await transport.request(
                request, retries=retries, repeats_statuses=not tentative
            )
            part = transport.parsed(
                response,
                lambda content: _part(
                    self.session, decoded(content), request_type, parse, response.elapsed
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
            if tentative or self._next in self._doubtful:
                raise
            result = await self._settle_conflict(request.operation, error, retries, look_up)
            if result is None:
                raise
            part = Done(result)
        except ApiError:
            # Refused: this request has not used its number. Earlier parts of the call may have.
            self._unsure = before
            raise
        if isinstance(part, Promise):
            if part.request_id in self._doubtful.values():
                self._unsure = before
                raise _ReplayedError
            part.on_end = partial(self._note_end, self._next, part.request_id)
            self._open.add(self._next)
        self._next += 1
        self._unsure = None
        return part

    def _note_end(self, number: int, request_id: str, refusal: int | None) -> None:
        self._ended.append((number, request_id, refusal))

    def _explain(self, error: TinkexError, operation: str, accepted: int, parts: int) -> None:
        error.session_id = error.session_id or self.session.id
        if accepted:
            error.message += (
                f" — {accepted} of {parts} parts of this batch were accepted before, and their gradients "
                "are kept; load your last checkpoint before you repeat the batch"
            )
        elif isinstance(error, DecodeError) and (error.status_code or 0) // 100 == 2:
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

    async def _settle_conflict(
        self, operation: str, error: ApiError, retries: Retries, look_up: LookUp | None
    ) -> Any | None:
        """Find out what holds the number or the name; return the result if it is this call's.

        A request without a name can only conflict with another one under its number. For a request with
        a name, the server is asked whether the name is taken; if it does not say, the number stays
        free, and the next call without a name finds out.
        """
        if not retries.may_have_arrived and self._unsure is None:
            return None
        found = NameLookup(is_taken=False) if look_up is None else await look_up(retries.elapsed)
        if retries.may_have_arrived and found.result is not None:
            log.info("%s: an earlier attempt did arrive; its result was looked up", operation)
            return found.result
        if found.is_taken is not False:
            return None
        if retries.may_have_arrived:
            error.message += (
                f". An earlier attempt of this {operation} did arrive and was applied, but the "
                "server does not recognise it, so its result is lost; continue with the next call"
            )
            self._use_up(operation)
        elif self._unsure is not None:
            error.message += (
                f". The {self._unsure} before it, whose fate was unknown, did arrive and was "
                f"applied; call {operation} again to continue after it"
            )
            self._use_up(self._unsure)
        return None

    def _use_up(self, operation: str) -> None:
        log.warning("number %d was used by an earlier %s", self._next, operation)
        self._next += 1
        self._unsure = None


class _ReplayedError(Exception):
    """The server gave the promise of a job that has failed already: it knows number and bytes."""


def decoded(content: bytes) -> Any:
    """Return the JSON of a body, or raise a ParseError."""
    try:
        return load_with_arrays(content)
    except ValueError:
        raise ParseError("", f"is not JSON ({len(content)} bytes)") from None
