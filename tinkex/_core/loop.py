"""The process's event loop: one daemon thread, started on first use, shared by all clients.

Every exchange is a coroutine on it. Blocking calls schedule a coroutine and wait for it, so an interrupt
reaches the caller at once, whatever the network is doing.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import logging
import os
import queue
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from concurrent.futures import CancelledError
from concurrent.futures import Future as StandardFuture
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from tinkex._base.lazy import LazyModule
from tinkex.errors import ClientClosedError, TinkexError

if TYPE_CHECKING:
    import asyncio
else:
    # Loaded when a client is created, not by `import tinkex`.
    asyncio = LazyModule("asyncio")

__all__ = [
    "call_back",
    "call_soon",
    "check_outside",
    "create_task",
    "finished",
    "is_inside",
    "spawn",
    "wait_for",
]

T = TypeVar("T")

log = logging.getLogger("tinkex.loop")

# Seconds that an interrupted call waits for its coroutine to clean up.
CLEANUP_SECONDS = 0.5
EXIT_SECONDS = 1.0
# Checks in a row, and seconds between them, without a sign of a foreign thread before the process exits.
IDLE_CHECKS = 2
LOOK_SECONDS = 0.003
# The main thread waits in slices: Python handles a Ctrl-C that arrived just before a wait (on Windows,
# also during one) only at the end of the wait.
WAIT_SLICE = 0.2


class _Loop:
    """An event loop in a daemon thread."""

    def __init__(self) -> None:
        self.loop: asyncio.AbstractEventLoop
        self._is_stopping = False
        # Strong references: the loop itself holds tasks weakly.
        self.tasks: set[asyncio.Task[Any]] = set()
        self._ready = threading.Event()
        self._failure: OSError | None = None
        self.thread = threading.Thread(target=self._run, name="tinkex-loop", daemon=True)
        self.thread.start()

    def wait_until_ready(self) -> None:
        """Wait until coroutines can be started.

        Raises:
            TinkexError: No file descriptors are left for the loop.
        """
        self._ready.wait()
        if self._failure is not None:
            raise TinkexError(
                f"the event loop cannot be started: {self._failure}. Close files, or raise the limit "
                "(ulimit -n)"
            )

    def _run(self) -> None:
        # Created here, so that an interrupt cannot leave it half initialized.
        try:
            from tinkex._core.event_loop import EventLoop

            self.loop = EventLoop()
            # Imported early: without file descriptors, nothing can be imported after a failure.
            importlib.import_module("backoff")
        except OSError as error:
            self._failure = error
            return
        finally:
            self._ready.set()
        # Under -X dev, asyncio would log every slow callback.
        self.loop.set_debug(False)
        asyncio.set_event_loop(self.loop)
        while not self._is_stopping:
            try:
                self.loop.run_forever()
            except BaseException:
                # For example SystemExit in an event handler: one caller's mistake must not stop the others.
                log.exception("the event loop continues after an error")
        # Scheduled but not yet started: started here, so that it ends as cancelled.
        self.loop.run_until_complete(asyncio.sleep(0))
        tasks = [task for task in self.tasks if not task.done()]
        for task in tasks:
            task.cancel()
        if tasks:
            ended = asyncio.wait(tasks, timeout=EXIT_SECONDS / 2)
            for task in self.loop.run_until_complete(ended)[1]:
                # The process exits; asyncio would warn about each pending task.
                task._log_destroy_pending = False  # type: ignore[attr-defined]
        self.loop.close()

    def stop(self) -> None:
        """Cancel all tasks and end the thread."""
        if self._ready.is_set() and self._failure is None:
            self.loop.call_soon_threadsafe(self._end)
            self.thread.join(EXIT_SECONDS)

    def _end(self) -> None:
        # On the loop's thread, which may only just begin to run: the flag alone would let it pass over
        # `run_forever`, and the stop would end what runs after it.
        self._is_stopping = True
        self.loop.stop()

    def create_task(self, coroutine: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Start a coroutine; only on the loop's thread."""
        task = self.loop.create_task(coroutine)
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)
        return task


_lock = threading.Lock()
_current: _Loop | None = None
_has_exited = False


def _started() -> _Loop:
    global _current
    running = _current
    if running is None:
        with _lock:
            if _has_exited:
                raise ClientClosedError(
                    "the interpreter is exiting, so no more requests can be sent"
                )
            if _current is None:
                _current = _Loop()
                atexit.register(_stop_at_exit)
            running = _current
    try:
        running.wait_until_ready()
    except TinkexError:
        # The next call tries again.
        _current = None
        raise
    return running


def _stop_at_exit() -> None:
    global _current, _has_exited
    with _lock:
        running, _current, _has_exited = _current, None, True
    if running is not None:
        try:
            running.stop()
            _wait_for_foreign_threads()
        except KeyboardInterrupt:
            # An interrupt at exit: the process ends at once.
            return


def _wait_for_foreign_threads() -> None:
    """Wait for pyqwest's threads to leave Python before the interpreter finalizes.

    They deliver results by calling into Python. Python would end a thread that is in such a call, or
    waits for its turn, during finalization, which aborts the whole process.
    """
    until = time.monotonic() + EXIT_SECONDS / 2
    before: object = None
    idle_checks = 0
    while idle_checks < IDLE_CHECKS and time.monotonic() < until:
        now = _foreign_activity()
        idle_checks = idle_checks + 1 if now is not None and now == before else 0
        before = now
        threading.Event().wait(LOOK_SECONDS)


def _foreign_activity() -> object:
    """Return what changes while pyqwest's threads do anything, or None if one of them is at work now.

    A thread that waits for its turn in Python wakes every 5 ms. Linux counts that; a busy machine may
    let it run later, but calls it running from then on. Elsewhere only threads in Python code are seen.
    """
    counts: list[tuple[str, str]] = []
    try:
        for thread in Path("/proc/self/task").iterdir():
            # A thread may have ended since.
            with contextlib.suppress(OSError):
                status = (thread / "status").read_text(encoding="utf-8")
                if status.startswith("Name:\ttokio"):
                    if "\nState:\tR" in status:
                        return None
                    counts.append((thread.name, status.partition("\nvoluntary")[2]))
    except OSError:
        known = {thread.ident for thread in threading.enumerate()}
        return () if known.issuperset(sys._current_frames()) else None
    return counts


def _forget() -> None:
    """Reset the state in a forked child, where the loop's thread does not exist."""
    global _current, _lock, _callbacks
    _lock, _current, _callbacks = threading.Lock(), None, None
    atexit.unregister(_stop_at_exit)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


class _Call:
    """A coroutine on the loop whose result another thread waits for."""

    def __init__(self, coroutine: Coroutine[Any, Any, Any], tasks: set[asyncio.Task[Any]]) -> None:
        self._coroutine: Coroutine[Any, Any, Any] | None = coroutine
        self._tasks = tasks
        self._task: asyncio.Task[Any] | None = None
        self.result: StandardFuture[Any] = StandardFuture()

    def start(self, loop: _Loop) -> None:
        coroutine, self._coroutine = self._coroutine, None
        if coroutine is None:
            self.result.cancel()
            return
        self._task = loop.create_task(coroutine)
        self._tasks.add(self._task)
        self._task.add_done_callback(self._settle)

    def cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()
        elif self._coroutine is not None:
            self._coroutine.close()
            self._coroutine = None

    def _settle(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if task.cancelled():
            self.result.cancel()
        elif (error := task.exception()) is not None:
            self.result.set_exception(error)
        else:
            self.result.set_result(task.result())


def finished(coroutine: Coroutine[Any, Any, T], tasks: set[asyncio.Task[Any]]) -> StandardFuture[T]:
    """Run a coroutine on the loop and return its done future; an interrupt cancels it.

    Args:
        coroutine: The coroutine to run.
        tasks: Receives its task while it runs, so that it can be cancelled.

    Raises:
        ClientClosedError: The interpreter is exiting.
        TinkexError: The caller is on the loop's thread, which must not block.
    """
    try:
        check_outside()
        loop = _started()
    except BaseException:
        coroutine.close()
        raise
    call = _Call(coroutine, tasks)
    try:
        loop.loop.call_soon_threadsafe(call.start, loop)
        wait_for(call.result)
    except BaseException:
        if not call.result.done():
            loop.loop.call_soon_threadsafe(call.cancel)
            # What the coroutine holds (a turn, a slot) must be free before the next call needs it.
            wait_for(call.result, CLEANUP_SECONDS)
        raise
    return call.result


def wait_for(
    future: StandardFuture[Any],
    timeout: float | None = None,
    done: Callable[[float | None], object] | None = None,
) -> bool:
    """Wait until a future is done; return whether it is. Interrupts propagate.

    Args:
        future: The future.
        timeout: Seconds.
        done: The future's original `exception` method, where a subclass has overridden it.
    """
    until = None if timeout is None else time.monotonic() + timeout
    done = done or future.exception
    longest = WAIT_SLICE if threading.current_thread() is threading.main_thread() else None
    while not future.done():
        left = longest
        if until is not None:
            left = max(0.0, until - time.monotonic())
            left = left if longest is None else min(left, longest)
        try:
            done(left)
        except (TimeoutError, CancelledError):
            if until is not None and time.monotonic() >= until:
                break
        except KeyboardInterrupt as interrupt:
            # Elsewhere an interrupt imports nothing: there may be no file descriptor left for it.
            if "IPython" in sys.modules:
                from tinkex._base.notebook import shorten_traceback

                shorten_traceback(interrupt)
            raise
    return future.done()


def spawn(coroutine: Coroutine[Any, Any, Any]) -> None:
    """Start a coroutine on the loop, from any thread; it must handle its own errors."""
    loop = _started()
    loop.loop.call_soon_threadsafe(loop.create_task, coroutine)


def create_task(coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
    """Start a coroutine; only on the loop's thread."""
    return _started().create_task(coroutine)


def call_soon(function: Callable[..., object], *args: Any) -> None:
    """Call a function on the loop's thread, from any thread."""
    _started().loop.call_soon_threadsafe(function, *args)


def is_inside() -> bool:
    """Return whether the caller is on the loop's thread."""
    running = _current
    return running is not None and threading.get_ident() == running.thread.ident


def check_outside() -> None:
    """Raise if the caller is on the loop's thread, where a blocking call would deadlock."""
    if is_inside():
        raise TinkexError(
            "a blocking call was made in a handler of tinkex's events or queue states, which runs "
            "on the event loop's thread. Hand the work to another thread (a queue, or "
            "concurrent.futures), and return"
        )


class _Callbacks:
    """A daemon thread for callbacks that may block."""

    def __init__(self) -> None:
        self.waiting: queue.SimpleQueue[tuple[Callable[..., object], tuple[Any, ...]]] = (
            queue.SimpleQueue()
        )
        threading.Thread(target=self._run, name="tinkex-callbacks", daemon=True).start()

    def _run(self) -> None:
        while True:
            function, args = self.waiting.get()
            try:
                function(*args)
            except Exception:
                log.exception("a callback of a future failed")
            # Drop the reference to the last callback.
            del function, args


_callbacks: _Callbacks | None = None


def call_back(function: Callable[..., object], *args: Any) -> None:
    """Call a user's function soon, on the callback thread; its exceptions are logged."""
    global _callbacks
    with _lock:
        if _callbacks is None:
            try:
                _callbacks = _Callbacks()
            except RuntimeError:
                # Since Python 3.12 an interpreter that is exiting starts no more threads.
                log.debug("a callback of a future is not called: the interpreter is exiting")
                return
    _callbacks.waiting.put((function, args))
