"""The hidden staging folder of a download, locked by one process at a time."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from tinkex._base.file_lock import is_at, lock_file
from tinkex.checkpoints.partial import Partial
from tinkex.errors import CheckpointError

_LOCK = "lock"


@contextlib.contextmanager
def staging(parent: Path, name: str) -> Iterator[Path]:
    """Create and lock the private folder ``.<name>.partial``.

    It is kept when a download is interrupted, so that the next one can resume; call `discard` when its
    contents are of no use.

    Raises:
        CheckpointError: Another download has locked it, or it belongs to another user.
    """
    folder = parent / f".{name[:200]}.partial"
    while True:
        _make_private(folder)
        with folder.joinpath(_LOCK).open("ab") as file:
            if not lock_file(file):
                raise CheckpointError(
                    f"another process is downloading into {parent / name}; wait for it, or choose "
                    "another output_dir"
                )
            if is_at(file, folder / _LOCK):
                yield folder
                return
        # The previous holder deleted the folder between our opening and our locking it.


def abandon(folder: Path) -> None:
    """Delete a staging folder, unless the next call can resume from it."""
    if not any(Partial(part).size() for part in folder.glob("*.partial")):
        discard(folder)


def discard(folder: Path) -> None:
    """Delete a staging folder; the lock file goes last, so that no process gets in between."""
    for child in list(folder.iterdir()):
        if child.name == _LOCK:
            continue
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()
    with contextlib.suppress(OSError):  # Windows does not delete open files
        folder.joinpath(_LOCK).unlink()
        folder.rmdir()


def _make_private(folder: Path) -> None:
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    ours = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    if not stat.S_ISDIR(found.st_mode) or not ours:
        raise CheckpointError(f"{folder} is not a folder of this user; remove it first")
    folder.chmod(0o700)
