"""Blocking calls in separate threads, so that the caller does not wait."""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, ParamSpec, TypeVar

from tinkex._core.futures import fail_in_child

P = ParamSpec("P")
T = TypeVar("T")

# Seconds after which a thread without work ends.
IDLE = 5.0

_Call = tuple["Future[Any]", Callable[[], Any]]


class Calls:
    """Calls that are made in the order in which they are asked for.

    Args:
        threads: Most calls at a time; one keeps the order.
    """

    def __init__(self, threads: int = 1) -> None:
        self._most = threads
        self._begin()

    def _begin(self) -> None:
        self._process = os.getpid()
        self._count = 0
        self._idle = 0
        self._waiting: deque[_Call] = deque()
        self._changed = threading.Condition()

    def submit(self, function: Callable[P, T], /, *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Make a call soon, and return the future of its result."""
        if self._process != os.getpid():
            # A forked child has none of the threads; in new ones the call gets the client's error.
            self._begin()
        result = fail_in_child(Future[T]())
        with self._changed:
            self._waiting.append((result, lambda: function(*args, **kwargs)))
            if len(self._waiting) > self._idle and self._count < self._most:
                self._count += 1
                # A daemon: a call that hangs must not keep the program from ending.
                threading.Thread(target=self._run, name="tinkex-calls", daemon=True).start()
            else:
                self._changed.notify()
        return result

    def _run(self) -> None:
        while (call := self._next()) is not None:
            result, function = call
            if result.set_running_or_notify_cancel():
                try:
                    value = function()
                except BaseException as error:  # noqa: BLE001 - the caller of `result` gets it
                    result.set_exception(error)
                else:
                    result.set_result(value)
            # The last call's objects must not live on here.
            del call, result, function

    def _next(self) -> _Call | None:
        with self._changed:
            self._idle += 1
            try:
                if self._changed.wait_for(lambda: bool(self._waiting), IDLE):
                    return self._waiting.popleft()
                self._count -= 1
                return None
            finally:
                self._idle -= 1
