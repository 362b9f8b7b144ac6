"""A small pool of worker threads for the blocking parts of request handling.

`concurrent.futures` is not used: its executors stop taking work as soon as the interpreter begins
to exit, while a client in the same process may still want to close its session then. The threads
are started up front for the same reason (none can be started during interpreter exit).
"""

import asyncio
import queue
import threading
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")

_Task = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class WorkerPool:
    """A fixed number of threads that run callables for an event loop."""

    def __init__(self, threads: int = 4, name: str = "tinkex-local-worker") -> None:
        self._tasks: queue.SimpleQueue[_Task | None] = queue.SimpleQueue()
        self._threads = [
            threading.Thread(target=self._work, name=f"{name}-{index}", daemon=True)
            for index in range(threads)
        ]
        for thread in self._threads:
            thread.start()

    async def run(self, call: Callable[[], T]) -> T:
        """Run `call` in one of the threads and return its value."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._tasks.put((call, loop, future))
        return await future

    def close(self) -> None:
        """Finish the tasks that are queued and end the threads."""
        for _ in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            call, loop, future = task
            value: Any = None
            error: BaseException | None = None
            try:
                value = call()
            except BaseException as caught:  # noqa: BLE001 - handed to the awaiting coroutine
                error = caught
            try:
                loop.call_soon_threadsafe(_settle, future, value, error)
            except RuntimeError:
                # The loop is closed: the server stopped, and no caller waits for this.
                continue
            finally:
                del task, call, future, value, error


def _settle(future: "asyncio.Future[Any]", value: Any, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)
