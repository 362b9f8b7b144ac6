"""The one clock and the one sleep of the package.

All waiting and measuring goes through a `Clock`, so that a test can pass its own and no test has
to sleep.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Monotonic time, and ways to wait, for threads and for coroutines."""

    def now(self) -> float:
        """Return monotonic seconds; only differences mean anything."""
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
        """Suspend a coroutine that does something regularly until its next turn."""
        ...


class SystemClock:
    """The machine's monotonic clock."""

    def now(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Block the thread; a negative number does not wait at all."""
        if seconds > 0:
            time.sleep(seconds)  # noqa: TID251 - the one place

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for the event, at most the given seconds."""
        return event.wait(max(0.0, seconds))

    async def pause(self, seconds: float) -> None:
        """Suspend the coroutine."""
        import asyncio

        await asyncio.sleep(max(0.0, seconds))

    tick = pause


SYSTEM_CLOCK: Clock = SystemClock()
