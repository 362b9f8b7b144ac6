"""A cache of files on disk, written atomically by one process at a time."""

from __future__ import annotations

import hashlib
import logging
import os
import sys
from collections.abc import Callable
from pathlib import Path

from tinkex._base.atomic_file import PRIVATE, atomic_write
from tinkex._base.file_lock import lock_file

log = logging.getLogger("tinkex.tokenizer")


def default_cache_dir() -> Path:
    """Return the user's cache folder for tinkex."""
    if sys.platform == "win32":
        home = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
        return Path(home) / "tinkex" / "cache"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tinkex"


def kept(
    name: Path, make: Callable[[], bytes], cache_dir: str | os.PathLike[str] | None = None
) -> bytes:
    """Return the content cached under a name; computes and caches it if it is missing or damaged.

    If the folder cannot be written, it is computed each time.
    """
    folder = Path(cache_dir).expanduser() if cache_dir else default_cache_dir()
    file = folder / name
    if (content := _read(file)) is not None:
        return content
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with file.with_name(file.name + ".lock").open("a+b") as waited_for:
            # Without the lock two processes do the same work at the same time, to the same result.
            lock_file(waited_for, wait=True)
            # Another process may have made it while this one waited.
            content = _read(file)
            if content is None:
                content = make()
                atomic_write(file, _digest(content) + b"\n" + content, mode=PRIVATE)
            return content
    except OSError as error:
        log.info("%s cannot be written, so nothing is cached there: %s", file, error)
        return content if content is not None else make()


def _read(file: Path) -> bytes | None:
    """Return a file's content, or None if it is missing or damaged."""
    try:
        digest, _, content = file.read_bytes().partition(b"\n")
    except OSError:
        return None
    return content if digest == _digest(content) else None


def _digest(content: bytes) -> bytes:
    return hashlib.sha256(content).hexdigest().encode()
