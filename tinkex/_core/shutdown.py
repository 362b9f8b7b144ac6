"""Orderly end of open sessions on SIGTERM."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import sys
import threading
from types import FrameType
from typing import Literal, NoReturn
from weakref import WeakSet

log = logging.getLogger("tinkex.session")

ExitReason = Literal["success", "errored", "interrupted"]

_open: WeakSet[object] = WeakSet()
_lock = threading.Lock()
_installed_in: int | None = None
_is_told_to_end = False


def watch(session: object) -> None:
    """Unwind the program on SIGTERM while this session is open.

    By default SIGTERM ends Python at once, and the server keeps the session until its heartbeat is
    missing. While a session is open, SIGTERM raises `SystemExit(143)` in the main thread instead:
    ``with`` and ``finally`` blocks run, sessions end as interrupted, and a second SIGTERM ends the
    process at once. A program's own handler is kept. Nothing is installed if all sessions begin
    outside the main thread, where Python allows no handlers.
    """
    global _installed_in
    with _lock:
        _open.add(session)
        if (
            _installed_in == os.getpid()
            or threading.current_thread() is not threading.main_thread()
        ):
            return
        if signal.getsignal(signal.SIGTERM) is not signal.SIG_DFL:
            return
        try:
            signal.signal(signal.SIGTERM, _unwind)
        except ValueError:
            # The main thread of a sub-interpreter may not set handlers.
            return
        _installed_in = os.getpid()


def unwatch(session: object) -> None:
    """Remove a session; after the last one, SIGTERM has its previous effect."""
    with _lock:
        _open.discard(session)
        if not _open:
            _restore()


def exit_reason() -> ExitReason:
    """Return how the program ends, for a session that is still open at exit."""
    if _is_told_to_end:
        return "interrupted"
    unhandled = getattr(sys, "last_value", None)
    if unhandled is None:
        return "success"
    return "errored" if isinstance(unhandled, Exception) else "interrupted"


def _restore() -> None:
    global _installed_in
    if _installed_in != os.getpid() or threading.current_thread() is not threading.main_thread():
        return
    _installed_in = None
    # A handler that was installed after ours is kept.
    if signal.getsignal(signal.SIGTERM) is _unwind:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _unwind(signum: int, frame: FrameType | None) -> NoReturn:
    global _is_told_to_end
    del frame
    _is_told_to_end = True
    signal.signal(signum, signal.SIG_DFL)
    # The signal may come during a write to the log's stream, whose buffer allows no second one within it.
    with contextlib.suppress(RuntimeError):
        log.warning("SIGTERM: ending the program and its sessions")
    raise SystemExit(128 + signum)
