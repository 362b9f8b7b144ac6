"""A clock that stands still until it is told to move, or until somebody sleeps by it."""

from __future__ import annotations

import asyncio
import math
import threading
import time
from collections.abc import Callable

import pytest


class FakeClock:
    """Move time by sleeping: `sleep` jumps ahead at once and notes for how long.

    `pause` is the same for coroutines. `wait` and `tick`, by which threads and coroutines in the
    background wait, block until the event is set or until the time has come, which `sleep`,
    `advance` or `run_until` must bring about.
    """

    def __init__(self, now: float = 1000.0) -> None:
        self._now = now
        self._moved = threading.Condition()
        self._deadlines: list[float] = []
        self.slept: list[float] = []

    def now(self) -> float:
        return self._now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        """Let time pass, for all that wait."""
        with self._moved:
            if seconds > 0:
                # A wait that is too short for a float to tell still moves time, as it does really.
                self._now = max(self._now + seconds, math.nextafter(self._now, math.inf))
            self._moved.notify_all()

    def wait(self, event: threading.Event, seconds: float) -> bool:
        deadline = self._now + seconds
        with self._moved:
            self._deadlines.append(deadline)
            try:
                while not event.is_set() and self._now < deadline:
                    # Setting the event does not notify us, so look now and then.
                    self._moved.wait(0.001)
            finally:
                self._deadlines.remove(deadline)
        return event.is_set()

    async def pause(self, seconds: float) -> None:
        self.sleep(seconds)
        await asyncio.sleep(0)

    async def tick(self, seconds: float) -> None:
        deadline = self._now + seconds
        with self._moved:
            self._deadlines.append(deadline)
        try:
            while self._now < deadline:
                await asyncio.sleep(0.001)
        finally:
            with self._moved:
                self._deadlines.remove(deadline)

    def run_until(self, reached: Callable[[], bool], step: float = 60.0) -> None:
        """Jump from deadline to deadline of those that wait until something is so."""
        give_up = threading.Event()
        for _ in range(20_000):
            if reached():
                return
            with self._moved:
                if self._deadlines and min(self._deadlines) - self._now <= step:
                    self._now = max(self._now, min(self._deadlines))
                    self._moved.notify_all()
            give_up.wait(0.001)
        raise AssertionError("it never came to that")


class StandingClock(FakeClock):
    """Do not let a wait move time: coroutines that pause are held until the test moves it."""

    async def pause(self, seconds: float) -> None:
        self.slept.append(seconds)
        await self.tick(seconds)


def set_wall_clock(monkeypatch: pytest.MonkeyPatch, seconds: Callable[[], float]) -> None:
    """Let `time.time` say something else, but not to the local server that other tests of this process share."""
    true = time.time

    def wall() -> float:
        is_servers = threading.current_thread().name.startswith("tinkex-local")
        return true() if is_servers else seconds()

    monkeypatch.setattr("time.time", wall)
