"""File locks that the operating system releases when the process ends."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import IO

# On Windows a locked range cannot be read, so the lock is beyond the content.
_BEYOND = 1 << 20


def lock_file(file: IO[bytes], *, wait: bool = False) -> bool:
    """Lock an open file for this process; return whether the lock was acquired.

    Args:
        file: Opened for writing.
        wait: Wait while another process has the lock. Windows gives up after ten seconds.
    """
    try:
        if sys.platform == "win32":
            import msvcrt

            file.seek(_BEYOND)
            msvcrt.locking(file.fileno(), msvcrt.LK_LOCK if wait else msvcrt.LK_NBLCK, 1)
            file.seek(0)
        else:
            import fcntl

            fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def is_at(file: IO[bytes], path: Path) -> bool:
    """Return whether an open file is still the one at its path, so that its lock is valid."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:
        return False
