"""Workers: micro-batches of similar length on threads, with BLAS held to one thread each.

numpy releases the interpreter's lock inside its loops, so threads that each own a micro-batch use
all cores for everything, where a multi-threaded BLAS speeds up only the matrix products. Both at
once fight over the cores, so BLAS is pinned while a call runs. The plan depends on the lengths
alone and results are taken in the plan's order: the outcome doesn't depend on the worker count.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from typing import TypeVar

from threadpoolctl import ThreadpoolController

from tinkex.local.engine.arena import Arena
from tinkex.local.engine.pauses import current_pause, pause, pausing

T = TypeVar("T")

MAX_TOKENS = 512
MIN_TOKENS = 128
MAX_WORKERS = 4
_ARENA_LIMIT = 1 << 30


def default_workers() -> int:
    """Return the number of worker threads: the cores this process may use, at most four."""
    try:
        cores = len(os.sched_getaffinity(0))
    except AttributeError:
        cores = os.cpu_count() or 1
    return min(MAX_WORKERS, cores)


def plan(lengths: Sequence[int]) -> list[list[int]]:
    """Cut sequences into micro-batches; returns indices, longest sequences first.

    Each micro-batch has at most a budget of tokens, padding counted, or one sequence. The budget
    shrinks for small calls, so that there is work for every core.
    """
    order = sorted(range(len(lengths)), key=lambda i: -lengths[i])
    budget = max(MIN_TOKENS, min(MAX_TOKENS, -(-sum(lengths) // MAX_WORKERS)))
    batches: list[list[int]] = []
    for i in order:
        if batches and lengths[batches[-1][0]] * (len(batches[-1]) + 1) <= budget:
            batches[-1].append(i)
        else:
            batches.append([i])
    return batches


@cache
def _controller() -> ThreadpoolController:
    """Return the handle on the BLAS libraries; finding them takes a few milliseconds."""
    return ThreadpoolController()


class _Limits:
    """The BLAS thread counts that running calls want; the setting belongs to the whole process.

    The smallest one rules, and none goes above what the process had before.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanted: list[int] = []
        self._stack = ExitStack()
        self._applied: int | None = None

    def enter(self, threads: int) -> None:
        with self._lock:
            self._wanted.append(threads)
            self._apply()

    def leave(self, threads: int) -> None:
        with self._lock:
            self._wanted.remove(threads)
            self._apply()

    def _apply(self) -> None:
        limit = min(self._wanted, default=None)
        if limit == self._applied:
            return
        self._stack.close()
        self._applied = limit
        if limit is not None:
            libraries = _controller().select(user_api="blas").lib_controllers
            allowed = max((library.num_threads or 1 for library in libraries), default=1)
            self._stack.enter_context(
                _controller().limit(limits=min(limit, allowed), user_api="blas")
            )


_LIMITS = _Limits()


@contextmanager
def blas_threads(threads: int) -> Iterator[None]:
    """Limit BLAS to that many threads during the block, in the whole process."""
    _LIMITS.enter(threads)
    try:
        yield
    finally:
        _LIMITS.leave(threads)


def single_threaded_blas() -> AbstractContextManager[None]:
    """Limit BLAS to one thread during the block, in the whole process."""
    return blas_threads(1)


class _Arenas:
    """Arenas at rest, for the next call; one that has grown too large is dropped."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._idle: list[Arena] = []

    @contextmanager
    def borrow(self) -> Iterator[Arena]:
        with self._lock:
            arena = self._idle.pop() if self._idle else Arena()
        try:
            yield arena
        finally:
            with self._lock:
                if len(self._idle) < MAX_WORKERS and arena.nbytes < _ARENA_LIMIT:
                    self._idle.append(arena)


_ARENAS = _Arenas()


def run_in_order(
    count: int, work: Callable[[int, Arena], T], take: Callable[[int, T], None], workers: int
) -> None:
    """Run `work(i, arena)` for i below `count` on threads; hand results to `take` in order of i.

    `take` runs in one thread at a time, as early as the order allows. The first failure (lowest i
    among those that ran) is raised, and what was not begun is left.
    """
    lock = threading.Lock()
    begun, taken = 0, 0
    done: dict[int, T] = {}
    failures: dict[int, BaseException] = {}

    how = current_pause()

    def loop() -> None:
        nonlocal begun, taken
        with pausing(how), _ARENAS.borrow() as arena:
            while True:
                try:
                    pause()
                except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
                    with lock:
                        failures[begun] = error
                    return
                with lock:
                    if failures or begun >= count:
                        return
                    i, begun = begun, begun + 1
                try:
                    result = work(i, arena)
                except BaseException as error:  # noqa: BLE001 - raised again by the caller's thread
                    with lock:
                        failures[i] = error
                    return
                with lock:
                    done[i] = result
                    while taken in done:
                        take(taken, done.pop(taken))
                        taken += 1

    with single_threaded_blas():
        threads = min(workers, count)
        if threads <= 1:
            loop()
        else:
            with ThreadPoolExecutor(threads - 1, thread_name_prefix="tinkex-engine") as pool:
                futures = [pool.submit(loop) for _ in range(threads - 1)]
                loop()
                for future in futures:
                    future.result()
    if failures:
        raise failures[min(failures)]
