"""A clock that moves only when somebody sleeps by it."""

from __future__ import annotations

import threading


class FakeClock:
    """Jump ahead instead of sleeping; background loops wait until they are stopped."""

    def __init__(self) -> None:
        self._now = 1000.0
        self._lock = threading.Lock()
        self.slept: list[float] = []

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        with self._lock:
            self.slept.append(seconds)
            self._now += max(seconds, 0.0)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        return event.wait()
