"""A process that imports what nearly every program imports, and is forked for each program (see programs.py).

    python forked.py FILE_DESCRIPTOR

It listens on the socket that it inherits. Each message is a byte with five files: what to be, where to report, and
the three standard streams. The fork forks once more: one is the program, and the other waits for it.
"""

from __future__ import annotations

import gc
import json
import os
import socket
import struct
import sys
import types
import warnings
from pathlib import Path
from typing import Any, NoReturn

NUMBER = struct.Struct("!i")
# What the embedded server, its clients and the command line load. A program that is forked is the first to use any
# of it.
IMPORTED = (
    "pyqwest",
    "tinkex.cli",
    "tinkex.cli.checkpoint",
    "tinkex.cli.runs",
    "tinkex.cli.sampling",
    "tinkex.local.server",
    "tinkex.rest",
    "tinkex.sampling",
    "tinkex.service",
    "tinkex.training",
    "tinkex.tokenizer.loading",
)


def _fork_for_each(control: socket.socket) -> None:
    """Fork whenever it is asked for, and return in the child, when that is the program."""
    usual = len(warnings.filters)
    for name in IMPORTED:
        __import__(name)
    # A collection in a child would copy every page.
    gc.collect()
    gc.freeze()
    while True:
        message, files, *_ = socket.recv_fds(control, 1, 5)
        _reap()
        if not message:
            os._exit(0)
        if _fork() == 0:
            control.close()
            break
        for file in files:
            os.close(file)
    asked, reported, *streams = files
    program = _fork()
    if program:
        _report(program, reported, [asked, *streams])
    os.close(reported)
    _become(asked, streams, len(warnings.filters) - usual)


def _fork() -> int:
    with warnings.catch_warnings():
        # From threads of the linear algebra library, which lets itself be forked.
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def _reap() -> None:
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def _report(program: int, reported: int, files: list[int]) -> NoReturn:
    """Report the program's number, and in the end its status."""
    for file in (*files, 0, 1, 2):
        os.close(file)
    os.write(reported, NUMBER.pack(program))
    _, status = os.waitpid(program, 0)
    try:
        os.write(reported, NUMBER.pack(status))
    finally:
        # Where no one waits for it any more, too.
        os._exit(0)


def _become(asked: int, streams: list[int], filters: int) -> None:
    """Take on streams, environment, folder, arguments and filters of warnings.

    Args:
        asked: The file that says what to be.
        streams: The three standard streams.
        filters: How many filters of warnings the imported modules have added; they precede those of the options.
    """
    with open(asked, encoding="utf-8") as file:
        told = json.load(file)
    for ours, number in enumerate(streams):
        os.dup2(number, ours)
        os.close(number)
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        stream = _stream(number, mode, getattr(sys, name))
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    if told["is_session"]:
        os.setsid()
    os.chdir(told["cwd"])
    os.environ.clear()
    os.environ.update(told["env"])
    sys.argv = told["argv"]
    theirs = list(warnings.filters[:filters])
    del warnings.filters[:filters]  # type: ignore[attr-defined]
    sys.warnoptions += told["warnings"]
    warnings._processoptions(told["warnings"])  # type: ignore[attr-defined]
    warnings.filters[:0] = theirs  # type: ignore[index]
    # Leaving it makes the interpreter look at the filters again.
    with warnings.catch_warnings():
        pass


def _stream(number: int, mode: str, like: Any) -> Any:
    """Open a standard stream as the interpreter does."""
    return open(
        number,
        mode,
        buffering=1 if mode == "w" and (number == 2 or os.isatty(number)) else -1,
        encoding=like.encoding,
        errors=like.errors,
        closefd=False,
    )


def _run() -> None:
    """Be the program."""
    module = sys.modules["__main__"] = types.ModuleType("__main__")
    if sys.argv[0] == "-c":
        name, text = "<string>", sys.argv.pop(1)
        sys.path.insert(0, "")
    else:
        name = module.__file__ = sys.argv[0]
        text = Path(name).read_text(encoding="utf-8")
        sys.path.insert(0, str(Path(name).parent))
    exec(compile(text, name, "exec"), module.__dict__)


if __name__ == "__main__":
    _fork_for_each(socket.socket(fileno=int(sys.argv[1])))
    _run()
