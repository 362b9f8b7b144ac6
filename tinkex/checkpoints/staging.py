"""The hidden folder beside the target in which a download grows, one process at a time."""

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
    """Hold the private folder ``.<name>.partial``, and keep other processes from it.

    It stays behind when a download is interrupted, so that the next one can go on; `discard` it
    when nothing in it is of use.

    Raises:
        CheckpointError: Another download holds it, or it is no folder of ours.
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
        # The one before us threw the folder away between our opening and our locking it.


def abandon(folder: Path) -> None:
    """Throw a staging folder away, unless what came is of use to the next call."""
    if not any(Partial(part).size() for part in folder.glob("*.partial")):
        discard(folder)


def discard(folder: Path) -> None:
    """Throw a staging folder away; the lock's file goes last, so that nobody gets in between."""
    for child in list(folder.iterdir()):
        if child.name == _LOCK:
            continue
        if child.is_dir() and not child.is_symlink():
            shutil.rmtree(child)
        else:
            child.unlink()
    with contextlib.suppress(OSError):  # Windows keeps a file that is open
        folder.joinpath(_LOCK).unlink()
        folder.rmdir()


def _make_private(folder: Path) -> None:
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    found = folder.lstat()
    ours = not hasattr(os, "getuid") or found.st_uid == os.getuid()
    if not stat.S_ISDIR(found.st_mode) or not ours:
        raise CheckpointError(f"{folder} is no folder of this user; remove it first")
    folder.chmod(0o700)
