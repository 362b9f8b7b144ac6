"""Progress in one line of a terminal, which is redrawn."""

import contextlib
import os
import time
from collections.abc import Callable, Iterator
from typing import IO, Protocol

from tinkex.cli.text import cell, size

# No one reads faster, and a terminal on a slow connection keeps up.
_INTERVAL = 0.1
_BAR = 24
_SHORTEST = 4
ERASE = "\r\x1b[K"
"""What empties the line of a terminal that the cursor stands in."""


class Step(Protocol):
    """A callback for progress."""

    def __call__(self, done: int, total: int | None = None, remark: str = "", /) -> None:
        """Take how much is done, of how much if it is known, and a remark that follows."""


@contextlib.contextmanager
def drawn(label: str, unit: str, stream: IO[str] | None) -> Iterator[Step]:
    """Draw on a stream while the block runs, and leave the line empty; None draws nothing."""
    if stream is None:
        yield lambda _done, _total=None, _remark="", /: None
        return
    line = _Line(label, _sized if unit == "B" else str, stream)
    line.write(label)
    try:
        yield line.step
    finally:
        line.write("")


class _Line:
    """The last line of a terminal."""

    def __init__(self, label: str, shown: Callable[[int], str], stream: IO[str]) -> None:
        self._label = label
        self._shown = shown
        self._stream = stream
        self._last = 0.0

    def step(self, done: int, total: int | None = None, remark: str = "", /) -> None:
        """Draw, unless that was done a moment ago."""
        now = time.monotonic()
        if now - self._last < _INTERVAL and done != total:
            return
        self._last = now
        numbers = self._shown(done) + (f"/{self._shown(total)}" if total is not None else "")
        rest = f"{numbers} {cell(remark)}".rstrip()
        # The bar is what a narrow terminal shows less of, down to nothing.
        room = _columns(self._stream) - 1 - len(f"{self._label} [] {rest}")
        length = min(_BAR, room if room >= _SHORTEST else 0)
        bar = ""
        if total and length:
            full = min(length, length * done // total)
            bar = f" [{'#' * full}{'.' * (length - full)}]"
        self.write(f"{self._label}{bar} {rest}")

    def write(self, text: str) -> None:
        """Put a text in place of the line, cut where it would wrap."""
        with contextlib.suppress(OSError, ValueError):
            self._stream.write(ERASE + text[: _columns(self._stream) - 1])
            self._stream.flush()


def _columns(stream: IO[str]) -> int:
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except (OSError, ValueError):
        return 80


def _sized(count: int) -> str:
    return size(count)
