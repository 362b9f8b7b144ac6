"""The exchanges that a call still needs after its request was sent."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeVar

from tinkex.errors import TinkexError
from tinkex.polling import Done, Promise

T_co = TypeVar("T_co", covariant=True)


class Work(Protocol[T_co]):
    """Do a call's remaining exchanges, one at a time, on whichever thread asks.

    Work that can be given up without leaving the server in an unknown state has a method `cancel`
    as well: it frees what is held and tells the server, and any thread may call it.
    """

    @property
    def promise(self) -> Promise[Any] | None:
        """Return what is being polled now, if anything is."""
        ...

    def step(self, patience: float) -> float | Done[T_co]:
        """Do one exchange; return the result, or the seconds to wait before the next."""
        ...

    def abandon(self) -> None:
        """Free what is held for work that will not be stepped again."""
        ...


class PromisedWork:
    """Poll the promises of one call, in order, and combine their results.

    A part whose result came at once stands among the promises as `Done`.
    """

    def __init__(
        self,
        parts: Sequence[Promise[Any] | Done[Any]],
        combine: Callable[[list[Any]], Any],
    ) -> None:
        self._parts = parts
        self._combine = combine
        self._results: list[Any] = []

    @property
    def promise(self) -> Promise[Any] | None:
        """Return the promise that is polled now, or the last one."""
        promises = [part for part in self._parts if isinstance(part, Promise)]
        for part in self._parts[len(self._results) :]:
            if isinstance(part, Promise):
                return part
        return promises[-1] if promises else None

    def step(self, patience: float) -> float | Done[Any]:
        """Poll the first promise without a result."""
        while len(self._results) < len(self._parts):
            part = self._parts[len(self._results)]
            outcome = part if isinstance(part, Done) else self._poll(part, patience)
            if not isinstance(outcome, Done):
                return outcome
            self._results.append(outcome.value)
            if isinstance(part, Promise) and len(self._results) < len(self._parts):
                return 0.0
        return Done(self._combine(self._results))

    def _poll(self, promise: Promise[Any], patience: float) -> float | Done[Any]:
        try:
            return promise.step(patience)
        except TinkexError as error:
            if len(self._parts) > 1:
                part = len(self._results) + 1
                error.message = f"part {part} of {len(self._parts)} of the batch: {error.message}"
            raise

    def abandon(self) -> None:
        """Hold nothing, so free nothing."""
