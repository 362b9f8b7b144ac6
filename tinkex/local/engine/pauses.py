"""Points at which a long computation lets others go first.

The engine calls `pause` between its pieces of work (micro-batches, tokens, the operations of an
uploaded loss). What runs the computation says what happens then; by default nothing does.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

Pause = Callable[[], None]


def _go_on() -> None:
    """Do nothing: nothing else waits for its turn."""


_PAUSE: ContextVar[Pause] = ContextVar("pause", default=_go_on)


def pause() -> None:
    """Yield to other computations if it is their turn; return when this one may continue."""
    _PAUSE.get()()


def current_pause() -> Pause:
    """Return what `pause` does in this thread, for threads that compute on its behalf."""
    return _PAUSE.get()


@contextmanager
def pausing(how: Pause) -> Iterator[None]:
    """Make `pause` call `how` in this thread during the block."""
    token = _PAUSE.set(how)
    try:
        yield
    finally:
        _PAUSE.reset(token)
