"""Output in notebooks: tables of foreign text, displays that are redrawn, and short tracebacks.

Outside of IPython nothing here loads it.
"""

from __future__ import annotations

import importlib
import linecache
import sys
import sysconfig
import traceback
import types
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import tinkex_generated
from tinkex_generated.record import Prose
from tinkex_generated.record import table as _table

from tinkex._base.redaction import safe_text

__all__ = ["Display", "Prose", "shorten_traceback", "table", "traceback_lines"]

_RED, _PLAIN = "\x1b[31m", "\x1b[39m"


def table(names: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    """Return an HTML table; secrets in the cells are masked, and everything is escaped.

    >>> table(["text"], [["<b>"]])
    '<table><thead><tr><th>text</th></tr></thead><tbody><tr><td>&lt;b&gt;</td></tr></tbody></table>'
    """
    return _table(list(names), [[_masked(value) for value in row] for row in rows])


def _masked(value: Any) -> Any:
    if isinstance(value, Prose):
        # Line ends are control characters to `safe_text`.
        return Prose("\n".join(safe_text(line) for line in value.split("\n")))
    return safe_text(value) if isinstance(value, str) else value


class Display:
    """An output of a cell that can be replaced.

    Attributes:
        is_open: Whether there is a notebook to draw in.
    """

    def __init__(self) -> None:
        shell = _shell()
        self._handle: Any = None
        self.is_open = shell is not None and hasattr(shell, "kernel")

    def show(self, html: str, text: str) -> None:
        """Show the output, in place of what was shown before."""
        if not self.is_open:
            return
        content = {"text/html": html, "text/plain": text}
        if self._handle is None:
            display = importlib.import_module("IPython.display").display
            self._handle = display(content, raw=True, display_id=True)
        else:
            self._handle.update(content, raw=True)


def _shell() -> Any:
    """Return IPython's shell, None outside of IPython."""
    ipython = sys.modules.get("IPython")
    return None if ipython is None else ipython.get_ipython()


def shorten_traceback(error: BaseException) -> None:
    """Mark an interrupt as one that IPython shows in a few lines; elsewhere nothing changes."""
    if _shell() is not None:
        # An exception of Python's, which has no such method; its own handler is left alone.
        error._render_traceback_ = types.MethodType(traceback_lines, error)  # type: ignore[attr-defined]


def traceback_lines(error: BaseException) -> list[str]:
    """Return what IPython shows of an error: the caller's own lines, and the message.

    ``%xmode Verbose`` shows every frame.
    """
    shell = _shell()
    if shell is not None and shell.InteractiveTB.mode == "Verbose":
        full: list[str] = shell.InteractiveTB.structured_traceback(
            type(error), error, error.__traceback__
        )
        return full
    lines = list(_own_frames(error, shell))
    message = safe_text(str(error)) if not hasattr(error, "message") else str(error)
    name = f"{_RED}{type(error).__name__}{_PLAIN}"
    return [*lines, f"{name}: {message}" if message else name, *getattr(error, "__notes__", [])]


def _own_frames(error: BaseException, shell: Any) -> Iterator[str]:
    """Yield the place and the line of each frame that is neither ours nor Python's."""
    hidden = [Path(__file__).parents[1], Path(tinkex_generated.__file__).parent]
    hidden += [Path(sysconfig.get_path(name)) for name in ("stdlib", "purelib", "platlib")]
    for frame, line in traceback.walk_tb(error.__traceback__):
        file = frame.f_code.co_filename
        if any(Path(file).is_relative_to(folder) for folder in hidden):
            continue
        named = shell.compile.format_code_name(file) if shell is not None else None
        kind, name = named or ("File", file)
        yield f"{kind} {name}, line {line}"
        yield f"----> {line} {linecache.getline(file, line).strip()}"
        yield ""
