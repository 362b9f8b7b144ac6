"""Checkpoints: a row that names a folder which is complete and never changes.

A checkpoint is written to the staging folder, flushed to the disk, and then, under the database's
write lock, moved into place and entered as a row. A process killed anywhere on that way leaves
either the whole checkpoint or a nameless folder that the next start removes.
"""

import logging
import shutil
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import frozen

from tinkex.local.audit import AuditLog
from tinkex.local.database import Database, from_json, to_json
from tinkex.local.datadir import DataDir, sync_tree
from tinkex.local.paths import Kind, TinkerPath
from tinkex.local.problem import Problem, conflict

logger = logging.getLogger("tinkex.local.checkpoints")

COMPLETE_MARKER = "checkpoint_complete"
_ALIVE = "(expires_at IS NULL OR expires_at > ?)"


@frozen
class CheckpointRecord:
    """One row of the checkpoints table."""

    path: TinkerPath
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
        path: TinkerPath,
        write: Callable[[Path], None],
        *,
        ttl_seconds: int | None = None,
        overwrite: bool = False,
        user_metadata: Mapping[str, str] | None = None,
    ) -> CheckpointRecord:
        """Let `write` fill a folder and make it the checkpoint at `path`, all or nothing."""
        staged = self._data.stage()
        try:
            write(staged)
            (staged / COMPLETE_MARKER).touch()
            return self._commit(
                path, staged, sync_tree(staged), ttl_seconds, overwrite, user_metadata
            )
        finally:
            shutil.rmtree(staged, ignore_errors=True)

    def _commit(
        self,
        path: TinkerPath,
        staged: Path,
        size: int,
        ttl_seconds: int | None,
        overwrite: bool,
        user_metadata: Mapping[str, str] | None,
    ) -> CheckpointRecord:
        now = self._now()
        expires_at = None if ttl_seconds is None else now + ttl_seconds
        with self._database.transaction(durable=True) as connection:
            previous = self._row(path)
            if previous is not None:
                expired = previous["expires_at"] is not None and previous["expires_at"] <= now
                if not overwrite and not expired:
                    raise already_there(path)
            folder_id = self._data.publish(staged)
            connection.execute(
                "INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, ?, ?, ?, 0, ?, ?)",
                (
                    path.run_id,
                    path.kind,
                    path.name,
                    folder_id,
                    now,
                    size,
                    expires_at,
                    to_json(user_metadata),
                ),
            )
            overwritten = {"overwritten": True} if previous is not None else {}
            self._audit.add_within(
                connection,
                "checkpoint",
                "create",
                tinker_path=str(path),
                size_bytes=size,
                **overwritten,
            )
        if previous is not None:
            self._data.remove_checkpoint(previous["folder"])
        return self.get(path)

    def get(self, path: TinkerPath) -> CheckpointRecord:
        """Return the checkpoint at `path`, or raise a 404 problem."""
        row = self._row(path)
        if row is None or (row["expires_at"] is not None and row["expires_at"] <= self._now()):
            raise Problem(404, f"checkpoint {path} not found")
        return _record(row)

    def exists(self, path: TinkerPath) -> bool:
        """Say whether there is a checkpoint at `path` that has not expired."""
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

    def newest(self, run_id: str, kind: Kind) -> CheckpointRecord | None:
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

    def delete(self, path: TinkerPath) -> None:
        """Delete a checkpoint and its files, or raise a 404 problem."""
        record = self.get(path)
        # By folder: a checkpoint saved under the same name in this moment is another one.
        self._change(
            record, "DELETE FROM checkpoints WHERE folder = ?", (record.folder_id,), "delete"
        )
        self._data.remove_checkpoint(record.folder_id)

    def set_public(self, path: TinkerPath, public: bool) -> None:
        """Publish or unpublish a checkpoint; a conflict if it already is what was asked for."""
        record = self.get(path)
        changed = self._change(
            record,
            "UPDATE checkpoints SET public = ? WHERE folder = ? AND public != ?",
            (public, record.folder_id, public),
            "publish" if public else "unpublish",
        )
        if not changed:
            raise conflict(f"checkpoint {path} is already {'public' if public else 'private'}")

    def set_ttl(self, path: TinkerPath, ttl_seconds: int | None) -> None:
        """Let a checkpoint expire `ttl_seconds` from now, or never."""
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
        with self._database.transaction() as connection:
            rows = connection.execute(
                f"DELETE FROM checkpoints WHERE NOT {_ALIVE} RETURNING *",  # noqa: S608
                (self._now(),),
            ).fetchall()
            for row in rows:
                path = TinkerPath(row["run_id"], row["kind"], row["name"])
                self._audit.add_within(connection, "checkpoint", "expire", tinker_path=str(path))
        for row in rows:
            self._data.remove_checkpoint(row["folder"])
        if rows:
            logger.info("removed %d expired checkpoints", len(rows))
        return len(rows)

    def remove_orphans(self) -> None:
        """Delete folders that no row knows: what a killed server left behind."""
        with self._database.transaction() as connection:
            known = {row["folder"] for row in connection.execute("SELECT folder FROM checkpoints")}
            removed = self._data.remove_orphans(known)
        if removed:
            logger.info("removed %d unfinished checkpoints of an earlier server", len(removed))

    def _change(
        self, record: CheckpointRecord, sql: str, values: Sequence[Any], action: str, **details: Any
    ) -> int:
        """Change a checkpoint's row and say so in the audit log; return the rows changed."""
        with self._database.transaction() as connection:
            changed = connection.execute(sql, values).rowcount
            if changed:
                self._audit.add_within(
                    connection, "checkpoint", action, tinker_path=str(record.path), **details
                )
        return changed

    def _row(self, path: TinkerPath) -> sqlite3.Row | None:
        return self._database.row(
            "SELECT * FROM checkpoints WHERE run_id = ? AND kind = ? AND name = ?",
            (path.run_id, path.kind, path.name),
        )


def already_there(path: TinkerPath) -> Problem:
    """Return the problem of a name that is taken."""
    return conflict(
        f"checkpoint {path} already exists: choose another name, or save with overwrite"
    )


def _record(row: sqlite3.Row) -> CheckpointRecord:
    return CheckpointRecord(
        path=TinkerPath(row["run_id"], row["kind"], row["name"]),
        folder_id=row["folder"],
        created_at=row["created_at"],
        size_bytes=row["size_bytes"],
        public=bool(row["public"]),
        expires_at=row["expires_at"],
        user_metadata=from_json(row["user_metadata"]),
    )
