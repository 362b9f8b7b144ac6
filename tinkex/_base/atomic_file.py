"""Write a file whole or not at all."""

from __future__ import annotations

import os
from pathlib import Path

PRIVATE = 0o600


def atomic_write(file: Path, content: bytes, *, mode: int = 0o666, durable: bool = False) -> None:
    """Put a file in its place at once: whoever reads it sees the old content or the new one.

    >>> atomic_write(Path("run.json"), b"{}", durable=True)

    A link under the name is replaced, not followed.

    Args:
        file: Where to; its folder must be there.
        content: All of it.
        mode: Who may do what with it; the process's umask takes away from that.
        durable: Whether it is on the disk when this returns, so that a crash of the machine leaves
            the old content or the new one as well.

    Raises:
        OSError: It cannot be written; what was there stays.
    """
    # A name of its own: another process may write too, and one that was killed left its draft.
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
    """Flush which names a folder has to the disk."""
    if os.name != "posix":  # elsewhere a folder cannot be opened, and renaming is durable enough
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
