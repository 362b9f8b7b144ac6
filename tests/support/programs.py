"""Run Python programs as a user does, in processes that have imported already what nearly all of them import.

To import it takes longer than what most of them do with it. So in the short form one process imports it, and is
forked for each program; the long form starts each program afresh.
"""

from __future__ import annotations

import atexit
import functools
import inspect
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from support import forked
from support.extent import ALL
from support.forked import NUMBER

# What the interpreter reads in an environment.
READ = ("PYTHON", "LANG", "LC_")
OURS = {name: value for name, value in os.environ.items() if name.startswith(READ)}


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
        afresh: Whether the interpreter is a new one.
        timeout: Seconds after which it is killed.
    """
    command = [str(file), *arguments]
    settings: dict[str, Any] = {"env": env, "cwd": folder, "timeout": timeout}
    return complete(command, options=options, afresh=afresh, **settings)


def complete(
    command: Sequence[str],
    *,
    options: tuple[str, ...] = (),
    afresh: bool = ALL,
    stdin: str = "",
    timeout: float = 120,
    **settings: Any,
) -> subprocess.CompletedProcess[str]:
    """Run a program as of `start` to its end, and return what it printed."""
    pipe = subprocess.PIPE
    with start(
        command, options=options, afresh=afresh, stdin=pipe, stdout=pipe, stderr=pipe, **settings
    ) as program:
        try:
            out, err = program.communicate(stdin, timeout=timeout)
        except BaseException:
            program.kill()
            raise
        return subprocess.CompletedProcess(command, program.returncode, out, err)


def start(
    command: Sequence[str], *, options: tuple[str, ...] = (), afresh: bool = ALL, **settings: Any
) -> subprocess.Popen[str]:
    """Begin a program.

    Args:
        command: Its file, or `-c` and its text, and what it is called with.
        options: Options of the interpreter, those of warnings (`-W`) last.
        afresh: Whether the interpreter is a new one; it is, too, where the environment changes what is imported,
            and where forking is not safe.
        settings: As of `subprocess.Popen`: the streams, `env`, `cwd`, `encoding` and `start_new_session`.
    """
    settings.setdefault("encoding", "utf-8")
    env = settings.get("env") or os.environ
    read = {name: env[name] for name in env if name.startswith(READ)}
    if afresh or sys.platform != "linux" or not read.items() <= OURS.items():
        return subprocess.Popen([sys.executable, *options, *command], **settings)
    return _Forked(command, options, **settings)


class _Forked(subprocess.Popen[str]):
    """A program that was forked. Its parent, which is not this process, reports its status."""

    def __init__(self, command: Sequence[str], options: tuple[str, ...], **settings: Any) -> None:
        at = options.index("-W") if "-W" in options else len(options)
        self._options, self._warnings = options[:at], options[at + 1 :: 2]
        super().__init__(command, **settings)

    def _execute_child(self, *given: Any) -> None:
        named = inspect.signature(super()._execute_child).bind(*given).arguments  # type: ignore[misc]
        env = named["env"]
        told = {
            "argv": list(named["args"]),
            "warnings": self._warnings,
            "env": dict(os.environ if env is None else env),
            "cwd": str(named["cwd"] or Path.cwd()),
            "is_session": named["start_new_session"],
        }
        ends = [named[name] for name in ("p2cread", "c2pwrite", "errwrite")]
        self._status, theirs = socket.socketpair()
        with tempfile.TemporaryFile() as asked, theirs:
            asked.write(json.dumps(told).encode())
            asked.seek(0)
            # A stream that is not given is this process's own.
            streams = [own if end == -1 else end for own, end in enumerate(ends)]
            _parent(self._options).fork([asked.fileno(), theirs.fileno(), *streams])
        pipes = ("p2cread", "p2cwrite", "c2pread", "c2pwrite", "errread", "errwrite")
        self._close_pipe_fds(*[named[name] for name in pipes])  # type: ignore[attr-defined]
        # The first one waits until everything is imported.
        self.pid = self._number(socket.MSG_WAITALL)
        self._child_created = True

    def _number(self, flags: int) -> int:
        got = self._status.recv(NUMBER.size, flags)
        assert got, "the process that is forked for programs has ended"
        return int(NUMBER.unpack(got)[0])

    def _try_wait(self, wait_flags: int) -> tuple[int, int]:
        try:
            status = self._number(socket.MSG_DONTWAIT if wait_flags else socket.MSG_WAITALL)
        except BlockingIOError:
            return 0, 0
        self._status.close()
        return self.pid, status

    def _internal_poll(self, _deadstate: int | None = None) -> int | None:
        if self.returncode is None and self._waitpid_lock.acquire(blocking=False):  # type: ignore[attr-defined]
            try:
                pid, status = self._try_wait(os.WNOHANG)
                if pid:
                    self._handle_exitstatus(status)  # type: ignore[attr-defined]
            finally:
                self._waitpid_lock.release()  # type: ignore[attr-defined]
        return self.returncode


class _Parent:
    """The process that is forked."""

    def __init__(self, options: tuple[str, ...]) -> None:
        self._control, theirs = socket.socketpair()
        with theirs:
            # Without this file's folder on the path, whose modules are no user's.
            self._process = subprocess.Popen(
                [sys.executable, *options, "-P", forked.__file__, str(theirs.fileno())],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, pass_fds=[theirs.fileno()],
            )  # fmt: skip
        atexit.register(self._end)

    def fork(self, files: list[int]) -> None:
        socket.send_fds(self._control, [b"."], files)

    def _end(self) -> None:
        self._control.close()
        self._process.wait()


@functools.cache
def _parent(options: tuple[str, ...]) -> _Parent:
    return _Parent(options)
