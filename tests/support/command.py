"""Run `tinkex` commands: inside of this process, or in one of their own."""

from __future__ import annotations

import io
import json
import os
import subprocess
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from attrs import frozen
from support import programs
from support.extent import ALL

from tinkex.cli import main

CLI = "from tinkex.cli import main; main()"


@frozen
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """Return what stands on stdout, which must be JSON and nothing else."""
        return json.loads(self.out)


class Terminal(io.StringIO):
    """A stream that says that it is a terminal."""

    def isatty(self) -> bool:
        return True


class Shell:
    """Run commands with a clean environment that points at one server."""

    def __init__(self, base_url: str, monkeypatch: pytest.MonkeyPatch, home: Path) -> None:
        self._monkeypatch = monkeypatch
        for name in list(os.environ):
            if name.startswith(("TINK", "HF_", "CLOUDFLARE_")) or name == "NO_COLOR":
                monkeypatch.delenv(name)
        # A home of its own: nothing on this machine is read by accident.
        monkeypatch.setenv("HOME", str(home))
        monkeypatch.setenv("TINKEX_LOCAL_DIR", str(home / "data"))
        monkeypatch.setenv("TINKER_BASE_URL", base_url)

    def __call__(self, *arguments: str, stdin: str = "", terminal: int | None = None) -> Done:
        """Run a command in this process.

        Args:
            arguments: What stands after `tinkex`.
            stdin: What it can read.
            terminal: Columns of the terminal that stdout and stderr are; None for pipes.
        """
        kind = io.StringIO if terminal is None else Terminal
        out, err = kind(), kind()
        with self._monkeypatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
            patch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(stdin.encode())))
            patch.setenv("COLUMNS", str(terminal or 80))
            try:
                main(arguments)
                code = 0
            except SystemExit as end:
                code = end.code if isinstance(end.code, int) else 1
        return Done(code, out.getvalue(), err.getvalue())

    def set(self, name: str, value: str) -> None:
        """Set an environment variable for what follows."""
        self._monkeypatch.setenv(name, value)

    def process(
        self,
        *arguments: str,
        stdin: str = "",
        before: str = "",
        strict: bool = True,
        afresh: bool = ALL,
        encoding: str = "utf-8",
    ) -> Done:
        """Run a command in a process of its own.

        Args:
            arguments: What stands after `tinkex`.
            stdin: What it can read.
            before: Python that runs first.
            strict: Whether warnings are errors.
            afresh: Whether nothing has been imported yet.
            encoding: What its streams are read in.
        """
        done = programs.complete(
            ["-c", f"{before}\n{CLI}", *arguments],
            options=("-W", "error" if strict else "ignore"),
            afresh=afresh,
            stdin=stdin,
            encoding=encoding,
        )
        return Done(done.returncode, done.stdout, done.stderr)


def start(*arguments: str, **settings: Any) -> subprocess.Popen[str]:
    """Begin a command in a process of its own, to be interrupted."""
    streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    return programs.start(["-c", CLI, *arguments], **{**streams, **settings})
