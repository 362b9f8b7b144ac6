"""Promises: what a request id stands for until, and after, its result is there.

Results are kept as the bytes of the answer. They stay retrievable until their session ends; when
many are waiting, the oldest are moved to files, so that a long run does not fill the memory.
"""

import asyncio
import threading
import uuid
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from attrs import define, field

from tinkex.local.problem import Problem

SESSIONLESS_LIFETIME_S = 3600.0


@define(eq=False)
class Promise:
    """One request that was accepted, and what became of it."""

    request_id: str
    session_id: str | None
    done: bool = False
    failed: bool = False
    size: int = 0
    finished_at: float = 0.0
    # Why nothing happens yet, for the pending answer; None: it is in the engine's queue.
    waits_for: Callable[[], str | None] = field(default=lambda: None)
    on_done: Callable[["Promise"], None] | None = None
    cancel: Callable[[], None] | None = None
    payload: bytes | None = None
    spooled: Path | None = None
    waiters: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(factory=list)

    def read(self) -> bytes:
        """Return the answer's bytes, from memory or from the file they were moved to."""
        payload, spooled = self.payload, self.spooled
        if payload is not None:
            return payload
        if spooled is None:
            raise RuntimeError(f"promise {self.request_id} has no result yet")
        return spooled.read_bytes()


class PromiseBook:
    """Every promise of the server, by request id; safe to use from any thread."""

    def __init__(
        self, spool: Path, now: Callable[[], float], memory_bytes: int = 256 * 2**20
    ) -> None:
        self._spool = spool
        self._now = now
        self._memory_bytes = memory_bytes
        self._lock = threading.Lock()
        self._promises: dict[str, Promise] = {}
        self._of_session: dict[str | None, set[str]] = {}
        self._in_memory: OrderedDict[str, int] = OrderedDict()
        self._used_bytes = 0
        self.closing = False

    def open(self, session_id: str | None) -> Promise:
        """Make a new pending promise."""
        promise = Promise(request_id=f"req-{uuid.uuid4().hex}", session_id=session_id)
        with self._lock:
            self._promises[promise.request_id] = promise
            self._of_session.setdefault(session_id, set()).add(promise.request_id)
        return promise

    def get(self, request_id: str) -> Promise:
        """Return a promise, or raise a 404 problem."""
        with self._lock:
            promise = self._promises.get(request_id)
        if promise is None:
            raise Problem(
                404,
                f"unknown request id {request_id!r}: it was never given out by this server"
                " process, or its session has ended",
            )
        return promise

    def settle(self, promise: Promise, payload: bytes, *, failed: bool = False) -> bool:
        """Give a promise its result; return whether it was still without one."""
        with self._lock:
            if promise.done:
                return False
            promise.payload = payload
            promise.size = len(payload)
            promise.failed = failed
            promise.finished_at = self._now()
            promise.done = True
            waiters, promise.waiters = promise.waiters, []
            if promise.request_id in self._promises:
                self._in_memory[promise.request_id] = len(payload)
                self._used_bytes += len(payload)
            to_spool = self._oldest_over_budget()
        for moved in to_spool:
            self._move_to_file(moved)
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
        """Forget one promise: nobody will ask for it."""
        with self._lock:
            if promise.request_id in self._promises:
                self._of_session.get(promise.session_id, set()).discard(promise.request_id)
                self._forget([promise.request_id])

    def end_session(self, session_id: str) -> list[Promise]:
        """Forget a session's promises; return those that were still pending."""
        with self._lock:
            return self._forget(list(self._of_session.pop(session_id, ())))

    def forget_sessionless(self) -> None:
        """Forget the results that belong to no session and were finished an hour ago."""
        before = self._now() - SESSIONLESS_LIFETIME_S
        with self._lock:
            ids = self._of_session.get(None, set())
            old = [
                request_id
                for request_id in ids
                if (promise := self._promises[request_id]).done and promise.finished_at < before
            ]
            ids.difference_update(old)
            self._forget(old)

    def close(self) -> list[Promise]:
        """Let nobody wait any more: the server stops. Return the pending promises."""
        with self._lock:
            self.closing = True
            return [promise for promise in self._promises.values() if not promise.done]

    def _forget(self, request_ids: list[str]) -> list[Promise]:
        pending = []
        for request_id in request_ids:
            promise = self._promises.pop(request_id)
            self._used_bytes -= self._in_memory.pop(request_id, 0)
            if promise.spooled is not None:
                promise.spooled.unlink(missing_ok=True)
            if not promise.done:
                pending.append(promise)
        return pending

    def _oldest_over_budget(self) -> list[Promise]:
        moved = []
        while self._used_bytes > self._memory_bytes and len(self._in_memory) > 1:
            request_id, size = self._in_memory.popitem(last=False)
            self._used_bytes -= size
            moved.append(self._promises[request_id])
        return moved

    def _move_to_file(self, promise: Promise) -> None:
        payload = promise.payload
        if payload is None:
            return
        self._spool.mkdir(mode=0o700, exist_ok=True)
        file = self._spool / promise.request_id
        file.write_bytes(payload)
        with self._lock:
            if promise.request_id in self._promises:
                promise.spooled = file
                promise.payload = None
                return
        file.unlink()


def wake(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    """Set an event of another thread's loop."""
    try:
        loop.call_soon_threadsafe(event.set)
    except RuntimeError:
        # The loop is closed: the server stopped while this waited.
        return
