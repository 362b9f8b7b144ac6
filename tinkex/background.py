"""A few threads that step many futures."""

from __future__ import annotations

import heapq
import itertools
import threading
from typing import Any

from tinkex.clock import SYSTEM_CLOCK, Clock
from tinkex.futures import PATIENT, Future

# With the main thread, the heartbeat and telemetry fewer than 64, which is what a client may need.
MAX_THREADS = 60
IDLE_SECONDS = 5.0
BUSY_PAUSE = 0.2
# How long a poll may be held while other futures wait for a thread.
CROWDED_PATIENCE = 1.0


class FuturePool:
    """Step watched futures on at most `max_threads` threads, which come and go with the work.

    A future is in the pool once, however often it is watched. Thousands of futures share the
    threads: each step is one exchange, after which the next future has its turn. While there are
    turns to take, either all threads are busy or one of them waits for the next turn.

    No future is touched while the pool's lock is held: `concurrent.futures.wait` holds the locks of
    its futures when it makes us watch them.

    Args:
        max_threads: The most threads at a time.
        clock: Where time comes from.
        idle_seconds: How long a thread waits for work before it ends.
    """

    def __init__(
        self,
        max_threads: int = MAX_THREADS,
        clock: Clock = SYSTEM_CLOCK,
        idle_seconds: float = IDLE_SECONDS,
    ) -> None:
        self._max_threads = max_threads
        self._clock = clock
        self._idle_seconds = idle_seconds
        self._lock = threading.Lock()
        self._turns: list[tuple[float, int, Future[Any]]] = []
        self._watched: set[Future[Any]] = set()
        self._order = itertools.count()
        self._threads = 0
        self._stepping = 0
        self._idle: list[threading.Event] = []
        self._closed = False

    @property
    def threads(self) -> int:
        """Return the number of threads that are alive."""
        return self._threads

    def watch(self, future: Future[Any]) -> None:
        """Step the future until it is done."""
        with self._lock:
            if self._closed or future in self._watched:
                return
            self._watched.add(future)
            self._put(future, self._clock.now())
            if self._idle:
                self._idle.pop().set()
            else:
                self._start_thread()

    def close(self) -> None:
        """Stop stepping; futures that are not done stay as they are."""
        with self._lock:
            self._closed = True
            left = list(self._watched)
            self._turns.clear()
            self._watched.clear()
            for wake in self._idle:
                wake.set()
        for future in left:
            future.abandon()

    def _put(self, future: Future[Any], at: float) -> None:
        heapq.heappush(self._turns, (at, next(self._order), future))

    def _start_thread(self) -> None:
        if self._threads < self._max_threads:
            self._threads += 1
            threading.Thread(target=self._run, name="tinkex-futures", daemon=True).start()

    def _run(self) -> None:
        try:
            self._take_turns()
        except BaseException:
            # A callback raised what nobody catches; the pool goes on with one thread less.
            with self._lock:
                self._threads -= 1
                self._stepping -= 1
            raise

    def _take_turns(self) -> None:
        while (turn := self._take()) is not None:
            future, patience = turn
            pause = future.step(patience)
            settled = future.settled
            with self._lock:
                self._stepping -= 1
                if settled:
                    self._watched.discard(future)
                elif not self._closed:
                    # None means that another thread steps it now, and may stop any moment.
                    pause = BUSY_PAUSE if pause is None else pause
                    self._put(future, self._clock.now() + pause)
            if self._closed and not settled:
                future.abandon()

    def _take(self) -> tuple[Future[Any], float] | None:
        """Wait for the next turn; None when the thread is no longer needed."""
        idle_since = self._clock.now()
        while True:
            with self._lock:
                now = self._clock.now()
                if self._turns and self._turns[0][0] <= now and not self._closed:
                    return self._pop(now)
                idle = self._idle_seconds - (now - idle_since)
                is_spare = not self._turns or bool(self._idle)
                if self._closed or (idle <= 0 and is_spare):
                    self._threads -= 1
                    return None
                due = self._turns[0][0] - now if self._turns else idle
                wake = threading.Event()
                self._idle.append(wake)
            self._clock.wait(wake, min(due, idle) if is_spare else due)
            with self._lock:
                if wake in self._idle:
                    self._idle.remove(wake)

    def _pop(self, now: float) -> tuple[Future[Any], float]:
        future = heapq.heappop(self._turns)[2]
        self._stepping += 1
        if self._turns and self._threads == self._stepping:
            self._start_thread()
        free = self._threads - self._stepping
        is_crowded = len(self._turns) > free and self._turns[0][0] <= now
        return future, CROWDED_PATIENCE if is_crowded else PATIENT
