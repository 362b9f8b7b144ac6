"""The folder in which the local server keeps its database, checkpoints and archives.

    <data_dir>/.tinkex-data        marks the folder as the local server's
    <data_dir>/tinkex.sqlite3      sessions, runs, checkpoints, samplers
    <data_dir>/results.sqlite3     results of promised requests, until they are evicted
    <data_dir>/checkpoints/<id>/   one folder per checkpoint; its weights never change
    <data_dir>/archives/<id>.tar   made when a download is first requested
    <data_dir>/staging/<server>/   what a running server is still writing, or removing
    <data_dir>/set-aside/          what was found in these folders and is not the server's

Several servers may share one folder. Each holds a lock on `staging/<server>.lock` as long as it
lives; the operating system releases it with the process, so the next server to start can tell the
leftovers of a dead server from the work of a living one.

Nothing is deleted but what carries a mark of ours and is unfinished: the staging folder of a dead
server whose lock file has our text, and a checkpoint that was moved there to be removed. What is
unknown is moved to `set-aside` and logged.
"""

import contextlib
import logging
import os
import shutil
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import IO

from tinkex._base.atomic_file import atomic_write, sync_folder
from tinkex._base.file_lock import is_at, lock_file
from tinkex.local.manifest import is_manifested

logger = logging.getLogger("tinkex.local.datadir")

DATABASE_NAME = "tinkex.sqlite3"
RESULTS_NAME = "results.sqlite3"
MARK_NAME = ".tinkex-data"
_MARK_TEXT = b"The local server of tinkex keeps its runs and checkpoints in this folder.\n"
_LOCK_TEXT = b"A local server of tinkex writes to the folder beside this file.\n"
_SQLITE_MAGIC = b"SQLite format 3\0"


class ForeignFolderError(ValueError):
    """The folder chosen for the server's data holds something else."""


class UnusableFolderError(RuntimeError):
    """The folder chosen for the server's data cannot be made."""


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
    """The folders of one server, and its lock.

    Raises:
        ForeignFolderError: `root` is neither empty nor a data folder of ours, or one of its folders
            is a symbolic link. Nothing was changed then.
        UnusableFolderError: It cannot be made.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.checkpoints = root / "checkpoints"
        self.archives = root / "archives"
        self._stages = root / "staging"
        self._set_aside = root / "set-aside"
        try:
            root.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as error:
            raise UnusableFolderError(
                f"the data folder {root} cannot be made ({error.strerror}): choose another one by "
                "--data-dir, LocalServer(data_dir=...) or TINKEX_LOCAL_DIR"
            ) from error
        folders = (self.checkpoints, self.archives, self._stages)
        _claim(root, folders)
        for folder in folders:
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
        """Move a staged folder to its final place atomically and return its id."""
        staged.rename(self.checkpoints / staged.name)
        sync_folder(self.checkpoints)
        return staged.name

    def retire(self, folder_id: str) -> bool:
        """Move a checkpoint's folder to this server's staging folder; False if there is none.

        Whatever happens next, a later start does not take it for a checkpoint.
        """
        (self.archives / f"{folder_id}.tar").unlink(missing_ok=True)
        try:
            (self.checkpoints / folder_id).rename(self._retired(folder_id))
        except FileNotFoundError:
            return False
        sync_folder(self.checkpoints)
        return True

    def reinstate(self, folder_id: str) -> None:
        """Move a retired checkpoint back: it is not removed after all."""
        self._retired(folder_id).rename(self.checkpoints / folder_id)

    def discard(self, folder_id: str) -> None:
        """Delete a retired checkpoint."""
        shutil.rmtree(self._retired(folder_id), ignore_errors=True)

    def set_aside(self, path: Path) -> None:
        """Move a foreign file out of one of the server's folders, and log its new place.

        What cannot be moved stays where it is.
        """
        folder = self._set_aside / time.strftime("%Y%m%d-%H%M%S") / path.parent.name
        target = folder / path.name
        number = 1
        while os.path.lexists(target):
            number += 1
            target = folder / f"{path.name}.{number}"
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.rename(target)
        except OSError as error:
            logger.warning("%s is not the server's and was left where it is: %s", path, error)
        else:
            logger.warning("%s is not the server's: moved to %s", path, target)

    def bury_dead(self, bury: Callable[[str], None]) -> None:
        """Call `bury` with the id of each dead server, then remove its unfinished files.

        What lies in the staging folder without the mark of a server of ours is set aside.
        """
        for file in sorted(self._stages.glob("*.lock")):
            if file.stem == self.server_id or (handle := _open_lock(file)) is None:
                continue
            try:
                # Not the file that was locked: another server has just buried this one.
                if not lock_file(handle) or not is_at(handle, file):
                    continue
                text, folder = handle.read(len(_LOCK_TEXT) + 1), self._stages / file.stem
                if text == _LOCK_TEXT:
                    bury(file.stem)
                    shutil.rmtree(folder, ignore_errors=True)
                    _remove_lock(file, handle)
                elif not text and not os.path.lexists(folder):
                    # Of a server that was killed, or has not come further, in its first moment.
                    _remove_lock(file, handle)
                else:
                    self.set_aside(file)
            finally:
                handle.close()
        for path in _entries(self._stages):
            lock = path if path.suffix == ".lock" else self._lock_file(path.name)
            if not lock.exists() and os.path.lexists(path):
                self.set_aside(path)

    def is_alive(self, server_id: str) -> bool:
        """Return whether a server whose id begins so is running on this folder."""
        return any(not _is_free(file) for file in self._stages.glob(f"{server_id}*.lock"))

    def checkpoint_entries(self) -> list[Path]:
        """Return the entries of the checkpoints' folder, except hidden files."""
        return _entries(self.checkpoints)

    def archive_entries(self) -> list[Path]:
        """Return the entries of the archives' folder, except hidden files."""
        return _entries(self.archives)

    def close(self) -> None:
        """Remove this server's staging folder and release the lock."""
        shutil.rmtree(self.staging, ignore_errors=True)
        _remove_lock(self._lock_file(self.server_id), self._lock)

    def release_copy(self) -> None:
        """Close a forked process's copy of the lock, which would outlive this server."""
        self._lock.close()

    def _register(self) -> tuple[str, IO[bytes]]:
        while True:
            server_id = uuid.uuid4().hex
            file = self._lock_file(server_id)
            handle = file.open("w+b")
            # A server that starts in this very moment may take the new file for a dead one's.
            if lock_file(handle) and is_at(handle, file):
                handle.write(_LOCK_TEXT)
                handle.flush()
                return server_id, handle
            handle.close()

    def _lock_file(self, server_id: str) -> Path:
        return self._stages / f"{server_id}.lock"

    def _retired(self, folder_id: str) -> Path:
        return self.staging / f"retired-{folder_id}"


def sync_tree(folder: Path) -> dict[str, int]:
    """Flush the files of a folder and the folder itself to the disk; return their sizes."""
    sizes = {}
    for path in sorted(folder.iterdir()):
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
            sizes[path.name] = os.fstat(handle.fileno()).st_size
    sync_folder(folder)
    return sizes


def _claim(root: Path, folders: tuple[Path, ...]) -> None:
    """Mark a folder as the server's, if it is empty or was so before there was a mark."""
    for folder in folders:
        if folder.is_symlink():
            raise ForeignFolderError(
                f"{folder} is a symbolic link: the local server moves and removes what lies there,"
                " so it must be a separate folder. Choose the data folder itself elsewhere"
                " (--data-dir, LocalServer(data_dir=...) or TINKEX_LOCAL_DIR)"
            )
    if (root / MARK_NAME).is_file():
        return
    found = [path.name for path in _entries(root) if path.name != "lost+found"]
    if found and not _was_ours(root):
        shown = ", ".join(repr(name) for name in found[:3])
        more = f" and {len(found) - 3} more" if len(found) > 3 else ""
        raise ForeignFolderError(
            f"{root} is neither empty nor a data folder of the local server (it holds {shown}"
            f"{more}): choose another one with --data-dir, LocalServer(data_dir=...) or"
            f" TINKEX_LOCAL_DIR. If it is one that lost its files, make an empty file"
            f" {MARK_NAME} in it"
        )
    atomic_write(root / MARK_NAME, _MARK_TEXT, durable=True)


def _was_ours(root: Path) -> bool:
    """Return whether an unmarked folder has a database or a checkpoint manifest of tinkex."""
    for name in (DATABASE_NAME, RESULTS_NAME):
        with contextlib.suppress(OSError), (root / name).open("rb") as handle:
            if handle.read(len(_SQLITE_MAGIC)) in (b"", _SQLITE_MAGIC):
                return True
    checkpoints = root / "checkpoints"
    return checkpoints.is_dir() and any(map(is_manifested, _entries(checkpoints)))


def _entries(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


def _is_free(file: Path) -> bool:
    """Return whether no server holds the lock of a file that exists."""
    handle = _open_lock(file)
    if handle is None:
        return False
    with handle:
        return lock_file(handle)


def _open_lock(file: Path) -> IO[bytes] | None:
    try:
        return file.open("r+b")
    except OSError:
        return None


def _remove_lock(file: Path, handle: IO[bytes]) -> None:
    # Windows deletes no file that is open; elsewhere it goes while it is still locked.
    if sys.platform == "win32":
        handle.close()
    file.unlink(missing_ok=True)
    handle.close()
