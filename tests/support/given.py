"""Work for futures whose result the test decides."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from tinkex._core import loop


class Given:
    """Have this outcome: a value, an error to raise, or a function that returns or raises one.

    With `held` it comes when `let_go` is called, from any thread.
    """

    promise = None

    def __init__(self, outcome: Any = None, *, held: bool = False) -> None:
        self._outcome = outcome
        self._held = held
        self._free = asyncio.Event()

    def on_queue_state(self, observer: Callable[[str, str | None], object] | None) -> None:
        """Have no queue."""

    def let_go(self) -> None:
        loop.call_soon(self._free.set)

    async def result(self) -> Any:
        if self._held:
            await self._free.wait()
        if isinstance(self._outcome, BaseException):
            raise self._outcome
        return self._outcome() if callable(self._outcome) else self._outcome
