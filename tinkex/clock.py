"""The one clock and the one sleep of the package.

Everything that waits or measures goes through a `Clock`, so that a test can hand in its own and no
test has to sleep.
"""

from __future__ import annotations

import threading
import time
from typing import Protocol


class Clock(Protocol):
    """Tell monotonic time and wait."""

    def now(self) -> float:
        """Return monotonic seconds; only differences mean anything."""
        ...

    def sleep(self, seconds: float) -> None:
        """Wait for the given number of seconds."""
        ...

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until the event is set or the seconds have passed; return whether it is set."""
        ...


class SystemClock:
    """Use the machine's monotonic clock."""

    def now(self) -> float:
        """Return monotonic seconds."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Wait; a negative number does not wait at all."""
        if seconds > 0:
            time.sleep(seconds)  # noqa: TID251 - the one place

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait for the event, at most the given seconds."""
        return event.wait(max(0.0, seconds))


SYSTEM_CLOCK: Clock = SystemClock()
