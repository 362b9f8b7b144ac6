"""Ctrl-C in the midst of an exchange."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
