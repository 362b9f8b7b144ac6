"""The clock behind every wait and every measurement of the package.

Tests inject their own `Clock` and never sleep.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic time, and waiting for threads and coroutines."""

    def now(self) -> float:
        """Return monotonic seconds; only differences are meaningful."""
        ...

    def sleep(self, seconds: float) -> None:
        """Block the thread for the given number of seconds."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Block until the event is set or the seconds have passed; return whether it is set."""
        ...

    async def pause(self, seconds: float) -> None:
        """Suspend the coroutine for the given number of seconds."""
        ...

    async def tick(self, seconds: float) -> None:
        """Suspend a periodic coroutine until its next turn."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block the thread; zero and negative numbers return at once."""
        if seconds > 0:
            time.sleep(seconds)  # noqa: TID251 - the only sleep

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for the event, at most the given number of seconds."""
        return event.wait(max(0.0, seconds))

    async def pause(self, seconds: float) -> None:
        """Suspend the coroutine."""
        import asyncio

        await asyncio.sleep(max(0.0, seconds))

    tick = pause


SYSTEM_CLOCK: Clock = SystemClock()
