"""Ctrl-C in the midst of an exchange, in this process or in another one."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest


@contextmanager
def interrupted() -> Iterator[Callable[[Any], Any]]:
    """Yield a scripted answer that interrupts the main thread; the block must end by the interrupt.

    The exchange itself stays open until then, so that nothing comes of it.
    """
    over = threading.Event()

    def answer(request: Any) -> int:
        main = threading.main_thread().ident
        assert main is not None
        # An interrupt that finds it in a callback of the collector would be lost.
        while sys._current_frames()[main].f_code is not threading.Condition.wait.__code__:
            over.wait(0.001)
        signal.pthread_kill(main, signal.SIGINT)
        over.wait(30)
        return 500

    try:
        with pytest.raises(KeyboardInterrupt):
            yield answer
    finally:
        over.set()


def interrupt(process: subprocess.Popen[Any]) -> None:
    """Press Ctrl-C once the main thread of a process waits for what it was told to wait for.

    Python notes a signal that comes between two instructions and acts on it before the next one. If that
    one is a call which waits, it waits first, and a single Ctrl-C is lost.
    """
    until_it_waits(process.pid)
    process.send_signal(signal.SIGINT)


def until_it_waits(pid: int) -> None:
    """Return when the main thread of a process sleeps; at once where no /proc tells."""
    status = Path(f"/proc/{pid}/task/{pid}/stat")
    pause = threading.Event()
    # What runs on and on is interrupted all the same, in the end.
    for _ in range(1000):
        # The state stands behind the name, which is in brackets and may hold any character.
        if not status.exists() or status.read_text().rpartition(")")[2].split()[0] != "R":
            return
        pause.wait(0.005)
