"""Checkpoints: a row that names a folder which is complete and never changes.

A checkpoint is written to the staging folder, flushed to the disk, and then, under the database's
write lock, moved into place and entered as a row. It is removed in the reverse order: out of its
place, then out of the database, then from the disk. A process killed anywhere on that way leaves
either the whole checkpoint, which the next start finds, or something in its staging folder.
"""

import logging
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field, frozen

from tinkex._base.checkpoint_path import CheckpointKind, CheckpointPath
from tinkex.local.audit import AuditLog
from tinkex.local.database import Database, from_json, insert_row, to_json
from tinkex.local.datadir import DataDir, sync_tree
from tinkex.local.manifest import COMPLETE_MARKER, read_manifest, sizes_of, write_manifest
from tinkex.local.problem import Problem, conflict

logger = logging.getLogger("tinkex.local.checkpoints")

_ALIVE = "(expires_at IS NULL OR expires_at > ?)"


@frozen
class CheckpointRecord:
    """One row of the checkpoints table."""

    path: CheckpointPath
    folder_id: str
    created_at: float
    size_bytes: int
    public: bool
    expires_at: float | None
    user_metadata: dict[str, str] | None


class CheckpointTable:
    """The checkpoints of every run, with their folders."""

    def __init__(
        self, database: Database, data: DataDir, now: Callable[[], float], audit: AuditLog
    ) -> None:
        self._database = database
        self._data = data
        self._now = now
        self._audit = audit

    def save(
        self,
        path: CheckpointPath,
        write: Callable[[Path], None],
        *,
        ttl_seconds: int | None = None,
        overwrite: bool = False,
        user_metadata: Mapping[str, str] | None = None,
    ) -> CheckpointRecord:
        """Create the checkpoint at `path` atomically from a folder that `write` fills."""
        staged = self._data.stage()
        try:
            write(staged)
            (staged / COMPLETE_MARKER).touch()
            self._commit(path, staged, sync_tree(staged), ttl_seconds, overwrite, user_metadata)
        finally:
            shutil.rmtree(staged, ignore_errors=True)
        return self.get(path)

    def _commit(
        self,
        path: CheckpointPath,
        staged: Path,
        files: Mapping[str, int],
        ttl_seconds: int | None,
        overwrite: bool,
        user_metadata: Mapping[str, str] | None,
    ) -> None:
        now = self._now()
        with self.change(durable=True) as change:
            previous = self._row(path)
            if previous is not None:
                expired = previous["expires_at"] is not None and previous["expires_at"] <= now
                if not overwrite and not expired:
                    raise already_there(path)
            row = {
                "run_id": path.training_run_id,
                "kind": path.kind,
                "name": path.name,
                "created_at": now,
                "size_bytes": sum(files.values()),
                "public": 0,
                "expires_at": None if ttl_seconds is None else now + ttl_seconds,
                "user_metadata": to_json(user_metadata),
            }
            replaced = None if previous is None else previous["folder"]
            write_manifest(staged, row, self._run_row(path.training_run_id), files, replaced)
            insert_checkpoint(change.connection, change.publish(staged), row)
            overwritten = {} if previous is None else {"overwritten": True}
            self._audit.add_within(
                change.connection,
                "checkpoint",
                "create",
                tinker_path=str(path),
                size_bytes=row["size_bytes"],
                **overwritten,
            )
            if replaced is not None:
                change.retire(replaced)

    def get(self, path: CheckpointPath) -> CheckpointRecord:
        """Return the checkpoint at `path`, or raise a 404 problem."""
        row = self._row(path)
        if row is None or (row["expires_at"] is not None and row["expires_at"] <= self._now()):
            raise Problem(404, f"checkpoint {path} not found")
        return _record(row)

    def exists(self, path: CheckpointPath) -> bool:
        """Return whether there is a checkpoint at `path` that has not expired."""
        row = self._row(path)
        return row is not None and (row["expires_at"] is None or row["expires_at"] > self._now())

    def folder(self, record: CheckpointRecord) -> Path:
        """Return the folder that holds a checkpoint's files."""
        return self._data.checkpoints / record.folder_id

    def of_run(self, run_id: str) -> list[CheckpointRecord]:
        """Return a run's checkpoints, newest first."""
        rows = self._database.rows(
            f"SELECT * FROM checkpoints WHERE run_id = ? AND {_ALIVE}"  # noqa: S608
            " ORDER BY created_at DESC, rowid DESC",
            (run_id, self._now()),
        )
        return [_record(row) for row in rows]

    def newest(self, run_id: str, kind: CheckpointKind) -> CheckpointRecord | None:
        """Return the newest checkpoint of a kind in a run, or None."""
        row = self._database.row(
            f"SELECT * FROM checkpoints WHERE run_id = ? AND kind = ? AND {_ALIVE}"  # noqa: S608
            " ORDER BY created_at DESC, rowid DESC LIMIT 1",
            (run_id, kind, self._now()),
        )
        return None if row is None else _record(row)

    def page(self, limit: int, offset: int) -> tuple[list[CheckpointRecord], int]:
        """Return a page of all checkpoints, newest first, and how many there are in all."""
        now = self._now()
        rows = self._database.rows(
            f"SELECT * FROM checkpoints WHERE {_ALIVE}"  # noqa: S608
            " ORDER BY created_at DESC, rowid DESC LIMIT ? OFFSET ?",
            (now, limit, offset),
        )
        total = self._database.count(f"SELECT COUNT(*) FROM checkpoints WHERE {_ALIVE}", (now,))  # noqa: S608
        return [_record(row) for row in rows], total

    def storage_by_project(self) -> list[tuple[str | None, int, int]]:
        """Return (project, checkpoints, bytes) of every project that has checkpoints."""
        rows = self._database.rows(
            "SELECT project_id, COUNT(*) AS count, SUM(size_bytes) AS size"  # noqa: S608
            f" FROM checkpoints JOIN runs USING (run_id) WHERE {_ALIVE}"
            " GROUP BY project_id ORDER BY project_id",
            (self._now(),),
        )
        return [(row["project_id"], row["count"], row["size"]) for row in rows]

    def storage_of_session(self, session_id: str) -> tuple[int, int]:
        """Return the number of a session's checkpoints and their bytes."""
        row = self._database.row(
            "SELECT COUNT(*) AS count, COALESCE(SUM(size_bytes), 0) AS size"  # noqa: S608
            f" FROM checkpoints JOIN runs USING (run_id) WHERE session_id = ? AND {_ALIVE}",
            (session_id, self._now()),
        )
        return (0, 0) if row is None else (row["count"], row["size"])

    def delete(self, path: CheckpointPath) -> None:
        """Delete a checkpoint and its files, or raise a 404 problem."""
        record = self.get(path)
        # By folder: a checkpoint saved under the same name in this moment is another one.
        self._change(
            record, "DELETE FROM checkpoints WHERE folder = ?", (record.folder_id,), "delete"
        )

    def set_public(self, path: CheckpointPath, public: bool) -> None:
        """Publish or unpublish a checkpoint; a conflict if it already is in that state."""
        record = self.get(path)
        changed = self._change(
            record,
            "UPDATE checkpoints SET public = ? WHERE folder = ? AND public != ?",
            (public, record.folder_id, public),
            "publish" if public else "unpublish",
        )
        if not changed:
            raise conflict(f"checkpoint {path} is already {'public' if public else 'private'}")

    def set_ttl(self, path: CheckpointPath, ttl_seconds: int | None) -> None:
        """Set a checkpoint to expire `ttl_seconds` from now, or never."""
        record = self.get(path)
        expires_at = None if ttl_seconds is None else self._now() + ttl_seconds
        self._change(
            record,
            "UPDATE checkpoints SET expires_at = ? WHERE folder = ?",
            (expires_at, record.folder_id),
            "set_ttl",
            ttl_seconds=ttl_seconds,
        )

    def remove_expired(self) -> int:
        """Delete the checkpoints whose time is over and return how many there were."""
        with self.change() as change:
            rows = change.connection.execute(
                f"DELETE FROM checkpoints WHERE NOT {_ALIVE} RETURNING *",  # noqa: S608
                (self._now(),),
            ).fetchall()
            for row in rows:
                path = CheckpointPath(row["run_id"], row["kind"], row["name"])
                self._audit.add_within(
                    change.connection, "checkpoint", "expire", tinker_path=str(path)
                )
                change.retire(row["folder"])
        if rows:
            logger.info("removed %d expired checkpoints", len(rows))
        return len(rows)

    @contextmanager
    def change(self, *, durable: bool = False) -> Iterator["FolderChange"]:
        """Change rows and folders together, under the database's write lock.

        If the block or the commit fails, the folders are as they were.
        """
        folders: FolderChange | None = None
        try:
            with self._database.transaction(durable=durable) as connection:
                folders = FolderChange(connection, self._data)
                yield folders
        except BaseException:
            if folders is not None:
                folders.undo()
            raise
        folders.finish()

    def _change(
        self, record: CheckpointRecord, sql: str, values: Sequence[Any], action: str, **details: Any
    ) -> int:
        """Change a checkpoint's row and say so in the audit log; return the rows changed."""
        with self.change() as change:
            changed = change.connection.execute(sql, values).rowcount
            if changed:
                if action == "delete":
                    change.retire(record.folder_id)
                else:
                    self._describe(record)
                self._audit.add_within(
                    change.connection, "checkpoint", action, tinker_path=str(record.path), **details
                )
        return changed

    def _describe(self, record: CheckpointRecord) -> None:
        """Write a checkpoint's row, as it is now, to its folder."""
        folder, row = self.folder(record), self._row(record.path)
        if row is not None and folder.is_dir():
            known = read_manifest(folder)
            files = sizes_of(folder) if known is None else known.files
            replaced = None if known is None else known.replaces
            write_manifest(folder, row, self._run_row(record.path.training_run_id), files, replaced)

    def _run_row(self, run_id: str) -> sqlite3.Row:
        row = self._database.row("SELECT * FROM runs WHERE run_id = ?", (run_id,))
        if row is None:
            raise Problem(404, f"training run {run_id!r} not found")
        return row

    def _row(self, path: CheckpointPath) -> sqlite3.Row | None:
        return self._database.row(
            "SELECT * FROM checkpoints WHERE run_id = ? AND kind = ? AND name = ?",
            (path.training_run_id, path.kind, path.name),
        )


@define
class FolderChange:
    """The folders that a transaction moves, and how to move them back."""

    connection: sqlite3.Connection
    _data: DataDir
    _published: list[str] = field(init=False, factory=list)
    _retired: list[str] = field(init=False, factory=list)

    def publish(self, staged: Path) -> str:
        """Move a staged folder to its final place and return its id."""
        folder_id = self._data.publish(staged)
        self._published.append(folder_id)
        return folder_id

    def retire(self, folder_id: str) -> None:
        """Move a checkpoint's folder out of its place; it is deleted after the commit."""
        if self._data.retire(folder_id):
            self._retired.append(folder_id)

    def undo(self) -> None:
        """Restore the retired folder, and remove the published one."""
        for folder_id in self._retired:
            self._data.reinstate(folder_id)
        for folder_id in self._published:
            self._data.retire(folder_id)
            self._data.discard(folder_id)

    def finish(self) -> None:
        """Delete the retired folder."""
        for folder_id in self._retired:
            self._data.discard(folder_id)


def insert_checkpoint(
    connection: sqlite3.Connection, folder_id: str, row: Mapping[str, Any]
) -> None:
    """Enter a checkpoint's row, in place of one at the same path."""
    insert_row(connection, "checkpoints", {**row, "folder": folder_id}, "REPLACE")


def already_there(path: CheckpointPath) -> Problem:
    """Return the problem of a name that is taken."""
    return conflict(
        f"checkpoint {path} already exists: choose another name, or save with overwrite"
    )


def _record(row: sqlite3.Row) -> CheckpointRecord:
    return CheckpointRecord(
        path=CheckpointPath(row["run_id"], row["kind"], row["name"]),
        folder_id=row["folder"],
        created_at=row["created_at"],
        size_bytes=row["size_bytes"],
        public=bool(row["public"]),
        expires_at=row["expires_at"],
        user_metadata=from_json(row["user_metadata"]),
    )
