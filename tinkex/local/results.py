"""Results on disk: what a promise came to, for as long as results are kept.

They are stored in a separate database file, so that large results neither swell nor hold up the one
with the records. A result that is let go leaves its id behind, so that asking for it later is
returned as 410 (it existed) and not as 404 (it never did).
"""

import sqlite3
from collections.abc import Callable

from attrs import frozen

from tinkex.local.database import Database

SCHEMA = """
CREATE TABLE IF NOT EXISTS results (
    request_id TEXT PRIMARY KEY,
    session_id TEXT,
    failed INTEGER NOT NULL,
    size INTEGER NOT NULL,
    finished_at REAL NOT NULL,
    payload BLOB
);
CREATE INDEX IF NOT EXISTS results_by_time ON results (finished_at) WHERE payload IS NOT NULL;
CREATE TABLE IF NOT EXISTS metrics (
    entry_id INTEGER PRIMARY KEY AUTOINCREMENT,
    run_id TEXT NOT NULL,
    name TEXT NOT NULL,
    step INTEGER NOT NULL,
    value REAL NOT NULL,
    at REAL NOT NULL,
    UNIQUE (run_id, name, step)
);
CREATE TABLE IF NOT EXISTS settings (
    run_id TEXT PRIMARY KEY,
    settings TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS run_log (
    entry_id INTEGER PRIMARY KEY,
    run_id TEXT NOT NULL,
    at REAL NOT NULL,
    level TEXT NOT NULL,
    text TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS run_log_by_run ON run_log (run_id);
CREATE TABLE IF NOT EXISTS snapshots (
    adapter TEXT PRIMARY KEY,
    run_id TEXT NOT NULL,
    step INTEGER NOT NULL,
    label TEXT NOT NULL,
    at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS snapshots_by_run ON snapshots (run_id);
CREATE TABLE IF NOT EXISTS samples (
    sample_id INTEGER PRIMARY KEY,
    adapter TEXT NOT NULL,
    prompt TEXT NOT NULL,
    sampled TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS samples_by_adapter ON samples (adapter);
CREATE TABLE IF NOT EXISTS servers (
    server_id TEXT PRIMARY KEY,
    started_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS journal (
    entry_id INTEGER PRIMARY KEY,
    request_id TEXT NOT NULL,
    session_id TEXT NOT NULL,
    operation TEXT NOT NULL,
    track TEXT NOT NULL,
    opened_at REAL NOT NULL,
    began_at REAL,
    finished_at REAL NOT NULL,
    failed INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS journal_by_session ON journal (session_id);
PRAGMA user_version = 1;
"""

TOMBSTONES_S = 30 * 86_400.0


@frozen
class KeptResult:
    """A result as it was written; without a payload it was let go."""

    request_id: str
    session_id: str | None
    failed: bool
    size: int
    finished_at: float
    payload: bytes | None


class ResultTable:
    """The results of every server that used this data folder.

    `retention_s` is how long a result is kept after it was computed; `most_bytes` is how much all
    of them may take, the oldest go first.
    """

    def __init__(
        self,
        database: Database,
        now: Callable[[], float],
        *,
        retention_s: float,
        most_bytes: int,
    ) -> None:
        self._database = database
        self._now = now
        self._retention_s = retention_s
        self._most_bytes = most_bytes

    def keep(
        self, request_id: str, session_id: str | None, payload: bytes, *, failed: bool
    ) -> None:
        """Write a result."""
        self._database.execute(
            "INSERT OR REPLACE INTO results VALUES (?, ?, ?, ?, ?, ?)",
            (request_id, session_id, failed, len(payload), self._now(), payload),
        )

    def get(self, request_id: str) -> KeptResult | None:
        """Return a result, or None for an id that is not known."""
        row = self._database.row("SELECT * FROM results WHERE request_id = ?", (request_id,))
        return None if row is None else _kept(row)

    def enter_server(self, server_id: str) -> None:
        """Note that this server gives out request ids from now on."""
        self._database.execute(
            "INSERT OR IGNORE INTO servers VALUES (?, ?)", (server_id, self._now())
        )

    def knows_server(self, server_id: str) -> bool:
        """Return whether a server of this id ever gave out request ids here."""
        return (
            self._database.row("SELECT 1 FROM servers WHERE server_id = ?", (server_id,))
            is not None
        )

    def forget(self, request_id: str) -> None:
        """Remove a result without a trace."""
        self._database.execute("DELETE FROM results WHERE request_id = ?", (request_id,))

    def evict(self) -> list[str]:
        """Evict results that are too old or too many; return their ids."""
        now = self._now()
        rows = self._database.rows(
            "SELECT request_id, size, finished_at FROM results WHERE payload IS NOT NULL"
            " ORDER BY finished_at DESC, rowid DESC"
        )
        total = 0
        gone = []
        for row in rows:
            total += row["size"]
            if total > self._most_bytes or row["finished_at"] < now - self._retention_s:
                gone.append(row["request_id"])
        with self._database.transaction() as connection:
            connection.executemany(
                "UPDATE results SET payload = NULL WHERE request_id = ?", [(one,) for one in gone]
            )
            connection.execute(
                "DELETE FROM results WHERE payload IS NULL AND finished_at < ?",
                (now - self._retention_s - TOMBSTONES_S,),
            )
        return gone


def _kept(row: sqlite3.Row) -> KeptResult:
    values = {name: row[name] for name in KeptResult.__annotations__}
    values["failed"] = bool(values["failed"])
    return KeptResult(**values)
