"""Ctrl-C in two steps: the first finishes the work in progress, the second stops at once."""

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

from tinkex.cli.text import is_terminal


class Interrupts:
    """A handler that takes the first Ctrl-C as a request to stop, once it is armed.

    Until `arm` is called, and from the second one on, Ctrl-C is a `KeyboardInterrupt` as ever.

    Attributes:
        asked: Whether the user asked to stop.
    """

    def __init__(self, note: Callable[[str], object]) -> None:
        self.asked = False
        self._note = note
        self._before: Any = None

    def arm(self) -> None:
        """Take the next Ctrl-C as a request."""
        # Python allows handlers only in the main thread; a command in another thread gets no Ctrl-C.
        if threading.current_thread() is threading.main_thread() and self._before is None:
            self._before = signal.signal(signal.SIGINT, self._ask)

    def disarm(self) -> None:
        """Restore the previous handler."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.disarm()

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        self.asked = True
        self.disarm()
        # The terminal has echoed ^C, perhaps within a progress line.
        head = "\n" if is_terminal(sys.stderr) else ""
        self._note(
            f"{head}finishing the steps in progress and saving a checkpoint; press Ctrl-C again to stop at once"
        )
