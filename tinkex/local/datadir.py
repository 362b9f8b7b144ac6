"""The folder in which the local server keeps its database, checkpoints and archives.

    <data_dir>/tinkex.sqlite3      sessions, runs, checkpoints, samplers
    <data_dir>/results.sqlite3     results of promised requests, until they are evicted
    <data_dir>/checkpoints/<id>/   one folder per checkpoint, never changed once it is there
    <data_dir>/archives/<id>.tar   made when somebody asks for a download
    <data_dir>/staging/<server>/   what a running server is still writing

Several servers may share one folder. Each holds a lock on `staging/<server>.lock` as long as it
lives; the operating system releases it with the process, so whoever starts next can tell the
leftovers of a dead server from the work of a living one.
"""

import os
import shutil
import sys
import uuid
from collections.abc import Collection
from pathlib import Path
from typing import IO

from tinkex.local.engine.tensors import sync_folder


def default_data_dir() -> Path:
    """Return TINKEX_LOCAL_DIR, or else the user's data folder for the local server."""
    if chosen := os.environ.get("TINKEX_LOCAL_DIR"):
        return Path(chosen).expanduser()
    if sys.platform == "win32":
        home = os.environ.get("LOCALAPPDATA") or str(Path.home() / "AppData" / "Local")
        return Path(home) / "tinkex" / "local"
    data_home = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    return Path(data_home) / "tinkex" / "local"


class DataDir:
    """The folders of one server, and the lock that says it lives."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.checkpoints = root / "checkpoints"
        self.archives = root / "archives"
        self._stages = root / "staging"
        root.mkdir(mode=0o700, parents=True, exist_ok=True)
        for folder in (self.checkpoints, self.archives, self._stages):
            folder.mkdir(mode=0o700, exist_ok=True)
        self.server_id, self._lock = self._register()
        self.staging = self._stages / self.server_id
        self.staging.mkdir(mode=0o700)

    def stage(self) -> Path:
        """Return a new folder that will become a checkpoint."""
        folder = self.staging / uuid.uuid4().hex
        folder.mkdir(mode=0o700)
        return folder

    def publish(self, staged: Path) -> str:
        """Move a staged folder to its final place in one step and return its id."""
        staged.rename(self.checkpoints / staged.name)
        sync_folder(self.checkpoints)
        return staged.name

    def remove_checkpoint(self, folder_id: str) -> None:
        """Delete a checkpoint's folder and its archive."""
        shutil.rmtree(self.checkpoints / folder_id, ignore_errors=True)
        (self.archives / f"{folder_id}.tar").unlink(missing_ok=True)

    def dead_servers(self) -> list[str]:
        """Return the ids of the servers that left something behind and no longer live."""
        return [
            file.stem
            for file in sorted(self._stages.glob("*.lock"))
            if file.stem != self.server_id and _is_free(file)
        ]

    def is_alive(self, server_id: str) -> bool:
        """Say whether a server whose id begins so is running on this folder."""
        return any(not _is_free(file) for file in self._stages.glob(f"{server_id}*.lock"))

    def bury(self, server_id: str) -> None:
        """Remove what a dead server was writing."""
        shutil.rmtree(self._stages / server_id, ignore_errors=True)
        self._lock_file(server_id).unlink(missing_ok=True)

    def remove_orphans(self, known: Collection[str]) -> list[str]:
        """Delete the checkpoint folders and archives that no row of the database knows.

        The caller holds the database's write lock, under which checkpoints are moved into place:
        a folder without a row is then certainly the leftover of a server that died in between.
        """
        removed = [path.name for path in self.checkpoints.iterdir() if path.name not in known]
        for folder_id in removed:
            self.remove_checkpoint(folder_id)
        for archive in self.archives.iterdir():
            if archive.name.split(".", 1)[0] not in known:
                archive.unlink(missing_ok=True)
        return removed

    def close(self) -> None:
        """Remove this server's staging folder and release the lock."""
        shutil.rmtree(self.staging, ignore_errors=True)
        self._lock_file(self.server_id).unlink(missing_ok=True)
        self._lock.close()

    def _register(self) -> tuple[str, IO[bytes]]:
        while True:
            server_id = uuid.uuid4().hex
            handle = self._lock_file(server_id).open("wb")
            if _try_lock(handle):
                return server_id, handle
            # A server that starts in this very moment took the new file for a dead one's.
            handle.close()

    def _lock_file(self, server_id: str) -> Path:
        return self._stages / f"{server_id}.lock"


def sync_tree(folder: Path) -> int:
    """Flush the files of a folder and the folder itself to the disk; return the bytes in it."""
    total = 0
    for path in sorted(folder.iterdir()):
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
            total += os.fstat(handle.fileno()).st_size
    sync_folder(folder)
    return total


def _is_free(file: Path) -> bool:
    """Say whether nobody holds the lock of a file that exists."""
    try:
        with file.open("r+b") as handle:
            return _try_lock(handle)
    except FileNotFoundError:
        return False


def _try_lock(handle: IO[bytes]) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(handle.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
