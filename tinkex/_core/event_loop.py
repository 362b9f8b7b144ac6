"""The event loop that `tinkex._core.loop` runs: asyncio's, with fewer system calls.

Most of what happens on it comes from other threads, the caller's and pyqwest's. Each system call gives the
interpreter's lock away to one of them, which costs more than the call itself.
"""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable
from contextvars import Context
from typing import TypeVarTuple

Arguments = TypeVarTuple("Arguments")

# While callbacks are waiting, sockets are looked at once in so many rounds.
ROUNDS = 16


class EventLoop(asyncio.SelectorEventLoop):
    """An event loop that other threads wake once for many callbacks."""

    def __init__(self) -> None:
        super().__init__(_Selector())
        self._waking = _Waking(is_over=True)

    def call_soon_threadsafe(
        self,
        callback: Callable[[*Arguments], object],
        *args: *Arguments,
        context: Context | None = None,
    ) -> asyncio.Handle:
        """Call a function soon, from any thread."""
        # Appended first: while the loop is still waking, it will see this.
        handle = self.call_soon(callback, *args, context=context)
        if self._waking.is_over:
            waking = _Waking()
            super().call_soon_threadsafe(waking.end)
            # Only now: an interrupt before this must not leave the loop asleep.
            self._waking = waking
        return handle


class _Waking:
    """A signal that wakes the loop, until the loop has seen it."""

    __slots__ = ("is_over",)

    def __init__(self, *, is_over: bool = False) -> None:
        self.is_over = is_over

    def end(self) -> None:
        """Note that the loop is awake: what is appended from now on needs another signal."""
        self.is_over = True


class _Selector(selectors.DefaultSelector):
    """The system's selector, asked for ready sockets only now and then while callbacks are waiting.

    With callbacks waiting, asyncio asks before each round. pyqwest has its own threads, so hardly a
    socket is ever here.
    """

    _rounds = 0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._rounds += 1
        if timeout is not None and timeout <= 0 and self._rounds % ROUNDS:
            return []
        return super().select(timeout)
