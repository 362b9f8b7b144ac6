"""Checkpoint archives: uncompressed tar files.

An archive is made when it is first asked for and kept until its checkpoint goes. The same folder
always gives the same bytes: names are sorted, times and owners are fixed.
"""

import os
import tarfile
import threading
from pathlib import Path

from attrs import define, field

from tinkex.local.checkpoints import CheckpointRecord
from tinkex.local.datadir import DataDir
from tinkex.local.manifest import weight_files
from tinkex.local.problem import Problem

BUILD_PATIENCE_S = 5.0
RETRY_AFTER_S = 2


@define(eq=False)
class Archives:
    """The archives of a data folder."""

    _data: DataDir
    patience_s: float = BUILD_PATIENCE_S
    _lock: threading.Lock = field(init=False, factory=threading.Lock)
    _building: dict[str, threading.Event] = field(init=False, factory=dict)

    def ensure(self, record: CheckpointRecord) -> Path:
        """Return the archive of a checkpoint, making it if it is not there.

        While another request is still making it after `patience_s`, a 503 problem says
        when to ask again.
        """
        archive = self._data.archives / f"{record.folder_id}.tar"
        if archive.is_file():
            return archive
        with self._lock:
            built = self._building.get(record.folder_id)
            mine = built is None
            if built is None:
                built = self._building[record.folder_id] = threading.Event()
        if not mine:
            if not built.wait(self.patience_s):
                raise Problem(
                    503,
                    f"the archive of {record.path} is being made",
                    headers={"retry-after": str(RETRY_AFTER_S)},
                )
            return archive
        try:
            self._build(record, archive)
        finally:
            with self._lock:
                del self._building[record.folder_id]
            built.set()
        return archive

    def _build(self, record: CheckpointRecord, archive: Path) -> None:
        folder = self._data.checkpoints / record.folder_id
        partial = self._data.staging / f"{record.folder_id}.tar"
        try:
            with partial.open("wb") as out, tarfile.open(fileobj=out, mode="w") as tar:
                for file in weight_files(folder):
                    member = tarfile.TarInfo(file.name)
                    member.size = file.stat().st_size
                    member.mode = 0o644
                    with file.open("rb") as content:
                        tar.addfile(member, content)
            with partial.open("rb") as written:
                os.fsync(written.fileno())
            partial.replace(archive)
            if not folder.is_dir():
                archive.unlink(missing_ok=True)
                raise FileNotFoundError(folder)
        except FileNotFoundError as error:
            raise Problem(404, f"checkpoint {record.path} was deleted meanwhile") from error
        finally:
            partial.unlink(missing_ok=True)
