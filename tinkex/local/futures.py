"""Promises: accepted requests by id, before and after their result is available.

Results are stored as the bytes of the response, on disk as soon as they exist, and the
newest in memory as well. They stay retrievable until they are evicted (410), also after their
session has ended and by another server process on the same folder.
"""

import asyncio
import logging
import sqlite3
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable

from attrs import define, field

from tinkex.local.problem import Problem
from tinkex.local.results import ResultTable

logger = logging.getLogger("tinkex.local.futures")

_SERVER_ID_LENGTH = 12


@define(eq=False)
class Promise:
    """An accepted request and its result."""

    request_id: str
    session_id: str | None
    # Whether the result is stored, and not only passed to the current waiters.
    kept: bool = True
    done: bool = False
    failed: bool = False
    size: int = 0
    # What was asked for, of which model or sampler.
    operation: str = ""
    track: str = ""
    opened_at: float = 0.0
    # When the engine took it up; None if it never did.
    began_at: float | None = None
    finished_at: float = 0.0
    # Why nothing happens yet, for the pending response; None: it is in the engine's queue.
    waits_for: Callable[[], str | None] = field(default=lambda: None)
    on_done: Callable[["Promise"], None] | None = None
    cancel: Callable[[], None] | None = None
    payload: bytes | None = None
    waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(factory=list)


class PromiseBook:
    """Every promise of the server, by request id; safe to use from any thread."""

    def __init__(
        self,
        results: ResultTable,
        now: Callable[[], float],
        memory_bytes: int = 256 * 2**20,
        *,
        server_id: str = "",
        is_alive: Callable[[str], bool] = lambda _: False,
    ) -> None:
        self._results = results
        self._now = now
        # Stands in every request id, so that later servers know which ids were ever given out
        # without a row for each.
        self._server = server_id[:_SERVER_ID_LENGTH] or uuid.uuid4().hex[:_SERVER_ID_LENGTH]
        self._is_alive = is_alive
        results.enter_server(self._server)
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._promises: dict[str, Promise] = {}
        self._of_session: dict[str | None, set[str]] = {}
        self._in_memory: OrderedDict[str, int] = OrderedDict()
        self._used_bytes = 0
        self.closing = False

    def open(
        self, session_id: str | None, operation: str = "", track: str = "", *, kept: bool = True
    ) -> Promise:
        """Make a new pending promise; one that is not kept has its result in memory only."""
        promise = Promise(
            request_id=f"req-{self._server}-{uuid.uuid4().hex[:20]}",
            session_id=session_id,
            kept=kept,
            operation=operation,
            track=track,
            opened_at=self._now(),
        )
        with self._lock:
            self._promises[promise.request_id] = promise
            self._of_session.setdefault(session_id, set()).add(promise.request_id)
        return promise

    def live(self, request_id: str) -> Promise | None:
        """Return a promise that is in memory, or None."""
        with self._lock:
            return self._promises.get(request_id)

    def get(self, request_id: str) -> Promise:
        """Return a promise from memory or disk; 410 if it is lost, 404 if it never was."""
        promise = self.live(request_id)
        if promise is not None:
            return promise
        kept = self._results.get(request_id)
        if kept is None:
            raise self._missing(request_id)
        if kept.payload is None:
            raise Problem(410, f"the result of {request_id!r} is no longer kept: send it again")
        return Promise(
            request_id=request_id,
            session_id=kept.session_id,
            done=True,
            failed=kept.failed,
            size=kept.size,
            finished_at=kept.finished_at,
            payload=kept.payload,
        )

    def read(self, promise: Promise) -> bytes:
        """Return the bytes of the response, from memory or from disk."""
        payload = promise.payload
        if payload is None:
            payload = self.get(promise.request_id).payload
        if payload is None:
            kept = self._results.get(promise.request_id)
            payload = None if kept is None else kept.payload
        if payload is None:
            raise Problem(410, f"the result of {promise.request_id!r} is no longer kept")
        return payload

    def settle(self, promise: Promise, payload: bytes, *, failed: bool = False) -> bool:
        """Set the result of a promise; return whether it had none yet."""
        # What only says that the server stops is no result, and those who wait are to hear it now.
        on_disk = (
            promise.kept
            and not (promise.done or self.closing)
            and self._write(promise, payload, failed)
        )
        with self._lock:
            if promise.done:
                return False
            promise.payload = payload
            promise.size = len(payload)
            promise.failed = failed
            promise.finished_at = self._now()
            promise.done = True
            waiters, promise.waiters = promise.waiters, []
            if on_disk and promise.request_id in self._promises:
                self._in_memory[promise.request_id] = len(payload)
                self._used_bytes += len(payload)
            self._drop_oldest_over_budget()
        if promise.on_done is not None:
            promise.on_done(promise)
        for loop, event in waiters:
            wake(loop, event)
        return True

    async def wait(self, promise: Promise, timeout: float) -> bool:
        """Wait until the promise has its result, at most `timeout` seconds; return whether it has."""
        event = asyncio.Event()
        waiter = (asyncio.get_running_loop(), event)
        with self._lock:
            if promise.done or self.closing:
                return promise.done
            promise.waiters.append(waiter)
        try:
            async with asyncio.timeout(timeout):
                await event.wait()
        except TimeoutError:
            pass
        finally:
            with self._lock:
                if waiter in promise.waiters:
                    promise.waiters.remove(waiter)
        return promise.done

    def forget(self, promise: Promise) -> None:
        """Drop a promise that no client will poll."""
        with self._lock:
            if promise.request_id in self._promises:
                self._of_session.get(promise.session_id, set()).discard(promise.request_id)
                self._forget([promise.request_id])

    def end_session(self, session_id: str) -> list[Promise]:
        """Forget a session's promises; return those that were still pending."""
        with self._lock:
            return self._forget(list(self._of_session.pop(session_id, ())))

    def evict(self) -> None:
        """Evict results that are too old or too many."""
        gone = self._results.evict()
        with self._lock:
            for request_id in gone:
                promise = self._promises.get(request_id)
                if promise is not None:
                    self._of_session.get(promise.session_id, set()).discard(request_id)
                    self._forget([request_id])

    def pending(self) -> list[Promise]:
        """Return the promises without a result, oldest first."""
        with self._lock:
            return [promise for promise in self._promises.values() if not promise.done]

    def close(self) -> list[Promise]:
        """Wake all waiters because the server stops; return the pending promises."""
        self.closing = True
        return self.pending()

    def _missing(self, request_id: str) -> Problem:
        """Return the problem of an id that has no result here."""
        server = request_id.removeprefix("req-").partition("-")[0]
        if not request_id.startswith("req-") or not self._results.knows_server(server):
            return Problem(404, f"unknown request id {request_id!r}: it was never given out here")
        if server == self._server:
            return Problem(410, f"the result of {request_id!r} is no longer kept: send it again")
        if self._is_alive(server):
            return Problem(
                404,
                f"{request_id!r} belongs to another server process on this data folder, which has"
                " no result for it yet: ask that one",
            )
        return Problem(
            410,
            f"the result of {request_id!r} is lost: its server stopped before it was there. Send a"
            " sample again; train on from the model's last checkpoint",
        )

    def _forget(self, request_ids: list[str]) -> list[Promise]:
        pending = []
        for request_id in request_ids:
            promise = self._promises.pop(request_id)
            self._used_bytes -= self._in_memory.pop(request_id, 0)
            if not promise.done:
                pending.append(promise)
        return pending

    def _drop_oldest_over_budget(self) -> None:
        while self._used_bytes > self._memory_bytes and len(self._in_memory) > 1:
            request_id, size = self._in_memory.popitem(last=False)
            self._used_bytes -= size
            self._promises[request_id].payload = None

    def _write(self, promise: Promise, payload: bytes, failed: bool) -> bool:
        try:
            self._results.keep(promise.request_id, promise.session_id, payload, failed=failed)
        except sqlite3.Error:
            # Better a result that a restart loses than none at all.
            logger.exception("the result of %s cannot be kept on disk", promise.request_id)
            return False
        return True


def wake(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    """Set an event of another thread's loop."""
    try:
        loop.call_soon_threadsafe(event.set)
    except RuntimeError:
        # The loop is closed: the server stopped while this waited.
        return
