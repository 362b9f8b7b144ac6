"""Sessions of clients, stored in the database."""

import sqlite3
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import frozen

from tinkex.local.audit import AuditLog
from tinkex.local.database import Database, from_json, to_json
from tinkex.local.problem import Problem


@frozen
class SessionRecord:
    """One row of the sessions table."""

    session_id: str
    server_id: str
    created_at: float
    tags: list[str]
    user_metadata: dict[str, Any] | None
    sdk_version: str
    project_id: str | None
    display_name: str | None
    status: str
    reason: str | None
    detail: str | None


class SessionTable:
    """The sessions of every server that used this data folder."""

    def __init__(
        self, database: Database, server_id: str, now: Callable[[], float], audit: AuditLog
    ) -> None:
        self._database = database
        self._server_id = server_id
        self._now = now
        self._audit = audit

    def create(
        self,
        *,
        tags: Sequence[str],
        user_metadata: Mapping[str, Any] | None,
        sdk_version: str,
        project_id: str | None = None,
        display_name: str | None = None,
    ) -> str:
        """Add an active session and return its id."""
        session_id = f"session-{uuid.uuid4().hex[:20]}"
        self._database.execute(
            "INSERT INTO sessions (session_id, server_id, created_at, tags, user_metadata,"
            " sdk_version, project_id, display_name) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                session_id,
                self._server_id,
                self._now(),
                to_json(list(tags)),
                to_json(user_metadata),
                sdk_version,
                project_id,
                display_name,
            ),
        )
        return session_id

    def get(self, session_id: str) -> SessionRecord:
        """Return a session, or raise a 404 problem."""
        row = self._database.row("SELECT * FROM sessions WHERE session_id = ?", (session_id,))
        if row is None:
            raise Problem(404, f"session {session_id!r} not found")
        return _record(row)

    def list_ids(self, limit: int, offset: int) -> list[str]:
        """Return the ids of a page of sessions, newest first."""
        rows = self._database.rows(
            "SELECT session_id FROM sessions ORDER BY created_at DESC, rowid DESC LIMIT ? OFFSET ?",
            (limit, offset),
        )
        return [row["session_id"] for row in rows]

    def all(self) -> list[SessionRecord]:
        """Return every session, newest first."""
        rows = self._database.rows("SELECT * FROM sessions ORDER BY created_at DESC, session_id")
        return [_record(row) for row in rows]

    def finish(self, session_id: str, status: str, reason: str | None, detail: str | None) -> bool:
        """Mark an active session as over; return whether it was active."""
        changed = self._database.execute(
            "UPDATE sessions SET status = ?, reason = ?, detail = ?"
            " WHERE session_id = ? AND status = 'active'",
            (status, reason, detail, session_id),
        )
        return changed > 0

    def finish_server(self, server_id: str, detail: str) -> None:
        """Mark the active sessions of a server as cancelled."""
        self._database.execute(
            "UPDATE sessions SET status = 'cancelled', detail = ?"
            " WHERE server_id = ? AND status = 'active'",
            (detail, server_id),
        )

    def assign_project(self, session_id: str, project_id: str) -> None:
        """Put a session and its runs into a project."""
        self.get(session_id)
        with self._database.transaction() as connection:
            for table in ("sessions", "runs"):
                connection.execute(
                    f"UPDATE {table} SET project_id = ? WHERE session_id = ?",  # noqa: S608
                    (project_id, session_id),
                )
            self._audit.add_within(
                connection, "project", "assign", project_id=project_id, session_id=session_id
            )

    def add_sampler(self, session_id: str, base_model: str, model_path: str | None) -> str:
        """Add a sampling session and return its id."""
        sampler_id = f"sampler-{uuid.uuid4().hex[:20]}"
        self._database.execute(
            "INSERT INTO samplers VALUES (?, ?, ?, ?, ?)",
            (sampler_id, session_id, base_model, model_path, self._now()),
        )
        return sampler_id

    def sampler(self, sampler_id: str) -> sqlite3.Row:
        """Return a sampling session's row, or raise a 404 problem."""
        row = self._database.row("SELECT * FROM samplers WHERE sampler_id = ?", (sampler_id,))
        if row is None:
            raise Problem(404, f"sampler {sampler_id!r} not found")
        return row

    def sampler_ids(self, session_id: str) -> list[str]:
        """Return the ids of a session's sampling sessions, oldest first."""
        rows = self._database.rows(
            "SELECT sampler_id FROM samplers WHERE session_id = ? ORDER BY created_at, rowid",
            (session_id,),
        )
        return [row["sampler_id"] for row in rows]

    def telemetry(
        self,
        limit: int,
        offset: int,
        *,
        session_id: str | None = None,
        event: str | None = None,
        severity: str | None = None,
    ) -> tuple[list[sqlite3.Row], int]:
        """Return a page of telemetry events, newest first, and how many there are in all.

        A row has the `event` as JSON text, and its batch's `session_id`, `received_at` and `batch`.
        """
        found = (
            "FROM telemetry, json_each(telemetry.batch, '$.events') AS one"
            " WHERE (? IS NULL OR session_id = ?)"
            " AND (? IS NULL OR json_extract(one.value, '$.event') = ?)"
            " AND (? IS NULL OR json_extract(one.value, '$.severity') = ?)"
        )
        values = [session_id, session_id, event, event, severity, severity]
        rows = self._database.rows(
            "SELECT one.value AS event, session_id, received_at, json_remove(batch, '$.events')"
            f" AS batch {found} ORDER BY batch_id DESC, one.key DESC LIMIT ? OFFSET ?",
            [*values, limit, offset],
        )
        return rows, self._database.count(f"SELECT COUNT(*) {found}", values)

    def keep_telemetry(self, session_id: str, batch: Mapping[str, Any], keep: int = 10_000) -> None:
        """Store a telemetry batch, and delete all but the newest `keep` batches."""
        with self._database.transaction() as connection:
            cursor = connection.execute(
                "INSERT INTO telemetry (session_id, received_at, batch) VALUES (?, ?, ?)",
                (session_id, self._now(), to_json(batch)),
            )
            newest = cursor.lastrowid or 0
            connection.execute("DELETE FROM telemetry WHERE batch_id <= ?", (newest - keep,))


def _record(row: sqlite3.Row) -> SessionRecord:
    values = {name: row[name] for name in SessionRecord.__annotations__}
    values["tags"] = from_json(row["tags"])
    values["user_metadata"] = from_json(row["user_metadata"])
    return SessionRecord(**values)
