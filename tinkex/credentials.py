"""Sources of the API key: a command, a file, a function.

A source is read again when its key expires or the server no longer accepts it, so that a key can be
replaced while a program runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shlex
import stat
import subprocess
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from tinkex._base.atomic_file import PRIVATE, atomic_write
from tinkex._base.redaction import hide
from tinkex._base.secret import Secret
from tinkex.errors import ConfigurationError

__all__ = ["CredentialsFile", "KeyCommand", "KeyFunction", "KeySource"]

COMMAND_TIMEOUT = 30.0
# Far longer than any key; longer output is not a key.
MOST_OUTPUT = 64 * 1024
MOST_FILE = 1024 * 1024

# Characters with a meaning to a shell. Inside quotes they may have none, but then a shell does no harm.
_FOR_A_SHELL = re.compile(r"[|&;<>()$`*?\n~#!{}]")
_KEY = re.compile(r"[\x21-\x7e]+")


class KeySource(Protocol):
    """A source of the current API key."""

    def read(self) -> Secret:
        """Return the key.

        Raises:
            ConfigurationError: No key is available.
        """
        ...


class KeyCommand:
    """A command that prints the API key.

    >>> KeyCommand("echo tml-0123456789abcdef").read()
    Secret('tml-...cdef')

    The command runs without a shell, unless it has shell syntax. Its stdin is empty, its stderr is
    ignored, and its stdout is one line.

    Args:
        command: The command and its arguments.
        timeout: Seconds after which it is killed with all its child processes.
    """

    name = "TINKER_CREDENTIAL_CMD"

    def __init__(self, command: str, timeout: float = COMMAND_TIMEOUT) -> None:
        self._argv = _argv(command)
        self._timeout = timeout

    def read(self) -> Secret:
        """Run the command and return the key that it prints.

        Raises:
            ConfigurationError: It fails, times out, or its output is not a key.
        """
        try:
            process = subprocess.Popen(  # noqa: S603 - the user's own command
                self._argv,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                # The stderr of such commands may show the key.
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        except OSError as error:
            # The command may hold secrets; only the system's message is shown.
            raise ConfigurationError(
                f"{self.name} cannot be run: {error.strerror or type(error).__name__}"
            ) from None
        late = threading.Event()

        def end() -> None:
            late.set()
            _kill(process)

        timer = threading.Timer(self._timeout, end)
        timer.start()
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            printed = process.stdout.read(MOST_OUTPUT + 1)
            if len(printed) > MOST_OUTPUT:
                _kill(process)
            status = process.wait()
        finally:
            timer.cancel()
            # Otherwise an interrupt would leave the command running.
            if process.poll() is None:
                _kill(process)
                process.wait()
            process.stdout.close()  # type: ignore[union-attr]
        return self._checked(printed, status, was_late=late.is_set())

    def _checked(self, printed: bytes, status: int, *, was_late: bool) -> Secret:
        if len(printed) > MOST_OUTPUT:
            raise ConfigurationError(
                f"{self.name} prints more than {MOST_OUTPUT} bytes, which is not a key"
            )
        if was_late:
            raise ConfigurationError(f"{self.name} did not end within {self._timeout:g} s")
        if status:
            raise ConfigurationError(
                f"{self.name} failed with status {status}; run it by hand to see why: its output is "
                "not shown here, since it may hold secrets"
            )
        return _as_key(printed.decode("utf-8", "replace"), self.name)


class KeyFunction:
    """A function of the program that returns the API key."""

    name = "api_key"

    def __init__(self, function: Callable[[], str | Secret]) -> None:
        self._function = function

    def read(self) -> Secret:
        """Call the function; its exceptions propagate."""
        key = self._function()
        return _as_key(key.reveal() if isinstance(key, Secret) else key, self.name)


class CredentialsFile:
    """API keys in a file that only its user can read; the file of ``tinkex auth``.

    >>> keys = CredentialsFile(folder / "credentials.json")
    >>> keys.save("laptop", "tml-0123456789abcdef")
    >>> keys.names(), keys.read()
    (['laptop'], Secret('tml-...cdef'))

    Args:
        path: The file; it need not exist.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)

    @property
    def name(self) -> str:
        """Return the file's name in messages."""
        return f"the credentials file {str(self.path)!r}"

    def names(self) -> list[str]:
        """Return the names of the stored keys."""
        return list(self._load()["keys"])

    def read(self) -> Secret:
        """Return the default key.

        Raises:
            ConfigurationError: There is no default key, or the file is not safe to read.
        """
        content = self._load()
        record = content["keys"].get(content.get("default"))
        if not isinstance(record, Mapping) or not isinstance(record.get("key"), str):
            raise ConfigurationError(
                f"{self.name} has no default key; save one, or set TINKER_API_KEY"
            )
        return _as_key(record["key"], self.name)

    def save(self, name: str, key: str | Secret, *, default: bool = True) -> None:
        """Store a key under a name, replacing a key of that name.

        The file is written atomically, and readable by its owner alone.
        """
        content = self._load()
        key = _as_key(key.reveal() if isinstance(key, Secret) else key, self.name)
        content["keys"][name] = {"type": "manual", "key": key.reveal(), "name": name}
        if default or content.get("default") is None:
            content["default"] = name
        self._store(content)

    def delete(self, name: str) -> None:
        """Delete a key, and the default if it was this key.

        Raises:
            KeyError: There is no key of that name.
        """
        content = self._load()
        del content["keys"][name]
        if content.get("default") == name:
            content["default"] = None
        self._store(content)

    def _load(self) -> dict[str, Any]:
        text = self._text()
        if text is None:
            return {"version": 1, "default": None, "keys": {}}
        try:
            content = json.loads(text)
        except (ValueError, RecursionError):
            content = None
        if not isinstance(content, dict) or not isinstance(content.setdefault("keys", {}), dict):
            raise ConfigurationError(
                f"{self.name} is not a credentials file; delete it or restore it"
            )
        return content

    def _text(self) -> str | None:
        # O_NOFOLLOW: a link that was planted there could point to another user's file.
        # O_NONBLOCK: opening a pipe would block.
        flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0)
        try:
            descriptor = os.open(self.path, flags)
        except FileNotFoundError:
            return None
        except OSError as error:
            why = "is a link" if self.path.is_symlink() else f"cannot be read ({error.strerror})"
            raise ConfigurationError(f"{self.name} {why}; put the file itself there") from None
        try:
            self._check_safe(os.fstat(descriptor))
        except ConfigurationError:
            os.close(descriptor)
            raise
        with os.fdopen(descriptor, "rb") as file:
            data = file.read(MOST_FILE + 1)
        if len(data) > MOST_FILE:
            raise ConfigurationError(
                f"{self.name} is longer than {MOST_FILE} bytes, which is not a credentials file"
            )
        return data.decode("utf-8", "replace")

    def _check_safe(self, found: os.stat_result) -> None:
        if not stat.S_ISREG(found.st_mode):
            raise ConfigurationError(f"{self.name} is not a regular file")
        if os.name != "posix":
            return
        if found.st_uid not in (os.geteuid(), 0):
            raise ConfigurationError(f"{self.name} belongs to another user")
        if stat.S_IMODE(found.st_mode) & 0o077:
            raise ConfigurationError(
                f"{self.name} can be read by others (mode {stat.S_IMODE(found.st_mode):04o}): run "
                f"chmod 600 {shlex.quote(str(self.path))}, and change the key if others may have read it"
            )

    def _store(self, content: Mapping[str, Any]) -> None:
        folder = self.path.parent
        if not folder.is_dir():
            folder.mkdir(mode=0o700, parents=True)
        # The rename replaces a planted link instead of following it.
        atomic_write(self.path, json.dumps(content, indent=2).encode(), mode=PRIVATE, durable=True)


def _argv(command: str) -> list[str]:
    if os.name == "nt":
        return ["cmd", "/c", command]
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words or _FOR_A_SHELL.search(command) or re.match(r"\w+=", words[0]):
        return ["/bin/sh", "-c", command]
    return words


def _kill(process: subprocess.Popen[bytes]) -> None:
    with contextlib.suppress(OSError):
        if hasattr(os, "killpg"):
            os.killpg(process.pid, 9)
        else:
            process.kill()


def _as_key(text: object, source: str) -> Secret:
    key = text.strip() if isinstance(text, str) else ""
    if not _KEY.fullmatch(key):
        raise ConfigurationError(
            f"{source} gives {'no key at all' if not key else 'an invalid key: it must be one line of plain ASCII'}"
        )
    if not key.startswith(("tml-", "eyJ")):
        raise ConfigurationError(
            f"{source} gives a key that neither starts with 'tml-' nor is a JWT ('eyJ...'): is "
            "it another service's?"
        )
    hide(key)
    return Secret(key)
