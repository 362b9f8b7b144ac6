"""Run Python programs as a user does, in processes that have imported already what nearly all of them import.

To import it takes longer than what most of them do with it. So in the short form one process imports it, and is
forked for each program; the long form starts each program afresh.
"""

from __future__ import annotations

import atexit
import functools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import types
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import IO

# What the interpreter reads in an environment.
OURS = {name: value for name, value in os.environ.items() if name.startswith("PYTHON")}
NUMBER = struct.Struct("!i")
# What the embedded server and its clients load. A program that is forked is the first to use any of it.
IMPORTED = (
    "tinkex.local.server",
    "tinkex.rest",
    "tinkex.sampling",
    "tinkex.service",
    "tinkex.training",
    "tinkex.tokenizer.loading",
)


def run_program(
    file: Path,
    *arguments: str,
    options: tuple[str, ...],
    env: Mapping[str, str],
    folder: Path,
    afresh: bool,
    timeout: float = 240,
) -> subprocess.CompletedProcess[str]:
    """Run a program and return what it printed.

    Args:
        file: The program.
        arguments: What it is called with.
        options: Options of the interpreter.
        env: Its environment.
        folder: Its working directory.
        afresh: Whether the interpreter is a new one; it is, too, where the environment changes what is imported,
            and where forking is not safe.
        timeout: Seconds after which it is killed.
    """
    is_like_ours = {
        name: env[name] for name in env if name.startswith("PYTHON")
    }.items() <= OURS.items()
    if afresh or sys.platform != "linux" or not is_like_ours:
        return subprocess.run(
            [sys.executable, *options, str(file), *arguments],
            env=env, cwd=folder, capture_output=True, text=True, timeout=timeout, check=False,
        )  # fmt: skip
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with tempfile.TemporaryFile() as asked:
            command = [str(file), *arguments]
            asked.write(
                json.dumps({"argv": command, "env": dict(env), "cwd": str(folder)}).encode()
            )
            asked.seek(0)
            status = _parent(options).run((asked, out, err), timeout)
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(
            command, status, out.read().decode(), err.read().decode()
        )


class _Parent:
    """The process that is forked."""

    def __init__(self, options: tuple[str, ...]) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            # Without this file's folder on the path, whose modules are no user's.
            self._process = subprocess.Popen(
                [sys.executable, *options, "-P", __file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
            )  # fmt: skip
        atexit.register(self._end)

    def run(self, files: tuple[IO[bytes], ...], timeout: float) -> int:
        socket.send_fds(self._control, [b"."], [file.fileno() for file in files])
        # The first one waits until everything is imported.
        self._control.settimeout(timeout)
        child = self._number()
        try:
            return self._number()
        except TimeoutError:
            os.kill(child, signal.SIGKILL)
            self._number()
            raise subprocess.TimeoutExpired(str(child), timeout) from None

    def _number(self) -> int:
        got = self._control.recv(NUMBER.size, socket.MSG_WAITALL)
        assert len(got) == NUMBER.size, "the process that is forked for programs has ended"
        return int(NUMBER.unpack(got)[0])

    def _end(self) -> None:
        self._control.close()
        self._process.wait()


@functools.cache
def _parent(options: tuple[str, ...]) -> _Parent:
    return _Parent(options)


def _fork_for_each(control: socket.socket) -> None:
    """Fork whenever it is asked for, and return in the child, when that is the program."""
    for name in IMPORTED:
        __import__(name)
    while True:
        message, files, *_ = socket.recv_fds(control, 1, 3)
        if not message:
            sys.exit()
        with warnings.catch_warnings():
            # From threads of the linear algebra library, which lets itself be forked.
            warnings.simplefilter("ignore", DeprecationWarning)
            child = os.fork()
        if child == 0:
            control.close()
            _become(*files)
            return
        for file in files:
            os.close(file)
        control.send(NUMBER.pack(child))
        _, status = os.waitpid(child, 0)
        control.send(NUMBER.pack(os.waitstatus_to_exitcode(status)))


def _become(asked: int, out: int, err: int) -> None:
    """Take on streams, environment, folder and arguments."""
    with open(asked, encoding="utf-8") as file:
        told = json.load(file)
    for ours, number in ((out, 1), (err, 2)):
        os.dup2(ours, number)
        os.close(ours)
    os.chdir(told["cwd"])
    os.environ.clear()
    os.environ.update(told["env"])
    sys.argv = told["argv"]
    sys.path.insert(0, str(Path(sys.argv[0]).parent))


if __name__ == "__main__":
    _fork_for_each(socket.socket(fileno=int(sys.argv[1])))
    program = types.ModuleType("__main__")
    program.__file__ = sys.argv[0]
    sys.modules["__main__"] = program
    exec(compile(Path(sys.argv[0]).read_bytes(), sys.argv[0], "exec"), program.__dict__)
