"""Parallel execution of tasks with a time limit."""

from __future__ import annotations

import concurrent.futures
import contextlib
import queue
import threading
from collections.abc import Callable, Sequence
from typing import TypeVar

from tinkex._base.clock import SystemClock
from tinkex.errors import RegularizerTimeoutError

T = TypeVar("T")


def in_parallel(
    tasks: Sequence[Callable[[], T]], names: Sequence[str], workers: int, timeout: float | None
) -> list[T]:
    """Run tasks on threads and return their results in order; raises the first error in order.

    A thread cannot be stopped, so a task that times out runs on, and its result is ignored; the threads
    are daemons, so it does not block the program's exit.

    Raises:
        RegularizerTimeoutError: A task was not done within `timeout` seconds.
    """
    futures: list[concurrent.futures.Future[T]] = [concurrent.futures.Future() for _ in tasks]
    waiting: queue.SimpleQueue[int] = queue.SimpleQueue()
    for index in range(len(tasks)):
        waiting.put(index)

    def work() -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                index = waiting.get_nowait()
                if not futures[index].set_running_or_notify_cancel():
                    continue
                try:
                    futures[index].set_result(tasks[index]())
                except BaseException as error:  # noqa: BLE001 - raised when the result is read
                    futures[index].set_exception(error)

    for number in range(min(workers, len(tasks))):
        threading.Thread(target=work, name=f"tinkex-regularizer-{number}", daemon=True).start()
    clock = SystemClock()
    deadline = None if timeout is None else clock.now() + timeout
    try:
        return [
            _result(future, name, deadline, timeout, clock)
            for future, name in zip(futures, names, strict=True)
        ]
    finally:
        for future in futures:
            future.cancel()


def _result(
    future: concurrent.futures.Future[T],
    name: str,
    deadline: float | None,
    timeout: float | None,
    clock: SystemClock,
) -> T:
    left = None if deadline is None else max(deadline - clock.now(), 0.0)
    concurrent.futures.wait([future], left)
    if not future.done():
        raise RegularizerTimeoutError(
            f"regularizer {name!r} was not done after {timeout:g} s; give the pipeline a longer "
            "timeout, or parallel=False for no limit"
        )
    return future.result()
