"""Atomic file writes."""

from __future__ import annotations

import os
from pathlib import Path

PRIVATE = 0o600


def atomic_write(file: Path, content: bytes, *, mode: int = 0o666, durable: bool = False) -> None:
    """Replace a file's content atomically: readers see either the old content or the new one.

    >>> atomic_write(Path("run.json"), b"{}", durable=True)

    The rename replaces a symbolic link instead of following it.

    Args:
        file: The file to write; its folder must exist.
        content: The new content.
        mode: Permission bits, before the process's umask is applied.
        durable: Flush file and folder to disk before returning, so that the write also survives a
            crash of the machine.

    Raises:
        OSError: The file cannot be written; the old content is kept.
    """
    # A unique name: another process may write the same file, and a killed one leaves its draft behind.
    draft = file.with_name(f".{file.name}.{os.urandom(4).hex()}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    descriptor = os.open(draft, flags, mode)
    try:
        with os.fdopen(descriptor, "wb") as stream:
            stream.write(content)
            if durable:
                stream.flush()
                os.fsync(stream.fileno())
        draft.replace(file)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
    if durable:
        sync_folder(file.parent)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk."""
    if os.name != "posix":  # elsewhere a folder cannot be opened, and renaming is durable enough
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
