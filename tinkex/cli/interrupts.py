"""Ctrl-C, and signals that end a process, in two steps: first finish what is under way, then stop."""

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any, Self

from tinkex.cli.text import is_terminal

# What ends a process: schedulers send SIGTERM, a terminal that is closed sends SIGHUP.
_SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGHUP") if hasattr(signal, name)
]
_ASKED = (
    "finishing the steps in progress and saving a checkpoint; press Ctrl-C again to stop at once"
)


class Interrupts:
    """A handler that takes the first Ctrl-C, SIGTERM or SIGHUP as a request to stop, once it is armed.

    Until `arm` is called, and from the second one on, they do what they did before.

    Attributes:
        asked: Whether the user asked to stop.
    """

    def __init__(self, note: Callable[[str], object]) -> None:
        self.asked = False
        self._note = note
        self._before: dict[int, Any] = {}

    def arm(self) -> None:
        """Take the next signal as a request."""
        # Python allows no handlers in other threads.
        if threading.current_thread() is threading.main_thread() and not self._before:
            self._before = {number: signal.signal(number, self._ask) for number in _SIGNALS}

    def disarm(self) -> None:
        """Restore the handlers of before."""
        for number, handler in self._before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        self._before = {}

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
        text = f"{head}{_ASKED}"
        with contextlib.suppress(OSError, ValueError):
            # After SIGHUP there may be nothing left to write to.
            try:
                self._note(text)
            except RuntimeError:
                # The signal came during a write to stderr, whose buffer allows no second one within it.
                os.write(sys.stderr.fileno(), f"{text}\n".encode())
