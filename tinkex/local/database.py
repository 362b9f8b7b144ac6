"""The SQLite file behind sessions, runs, checkpoints, samplers, audit log and usage.

One connection per server, used under a lock; write-ahead logging lets several servers share the
file. What was reported to a caller is kept even if the process is killed at the next moment: a
transaction is committed before the response is sent. `durable=True` also waits for the disk, so that
a saved checkpoint survives a power cut.
"""

import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

import orjson

_SCHEMA = """
CREATE TABLE IF NOT EXISTS settings (
    key TEXT PRIMARY KEY,
    value BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS sessions (
    session_id TEXT PRIMARY KEY,
    server_id TEXT NOT NULL,
    created_at REAL NOT NULL,
    tags TEXT NOT NULL,
    user_metadata TEXT,
    sdk_version TEXT NOT NULL,
    project_id TEXT,
    display_name TEXT,
    status TEXT NOT NULL DEFAULT 'active',
    reason TEXT,
    detail TEXT
);
CREATE TABLE IF NOT EXISTS runs (
    run_id TEXT PRIMARY KEY,
    session_id TEXT,
    base_model TEXT NOT NULL,
    lora_rank INTEGER NOT NULL,
    train_attn INTEGER NOT NULL,
    train_mlp INTEGER NOT NULL,
    train_unembed INTEGER NOT NULL,
    created_at REAL NOT NULL,
    last_request_at REAL NOT NULL,
    project_id TEXT,
    user_metadata TEXT
);
CREATE INDEX IF NOT EXISTS runs_by_session ON runs (session_id);
CREATE TABLE IF NOT EXISTS checkpoints (
    run_id TEXT NOT NULL REFERENCES runs (run_id),
    kind TEXT NOT NULL,
    name TEXT NOT NULL,
    folder TEXT NOT NULL UNIQUE,
    created_at REAL NOT NULL,
    size_bytes INTEGER NOT NULL,
    public INTEGER NOT NULL DEFAULT 0,
    expires_at REAL,
    user_metadata TEXT,
    PRIMARY KEY (run_id, kind, name)
);
CREATE TABLE IF NOT EXISTS samplers (
    sampler_id TEXT PRIMARY KEY,
    session_id TEXT NOT NULL,
    base_model TEXT NOT NULL,
    model_path TEXT,
    created_at REAL NOT NULL
);
CREATE INDEX IF NOT EXISTS samplers_by_session ON samplers (session_id);
CREATE TABLE IF NOT EXISTS telemetry (
    batch_id INTEGER PRIMARY KEY,
    session_id TEXT NOT NULL,
    received_at REAL NOT NULL,
    batch TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS telemetry_by_session ON telemetry (session_id);
CREATE TABLE IF NOT EXISTS audit (
    entry_id INTEGER PRIMARY KEY,
    at REAL NOT NULL,
    resource TEXT NOT NULL,
    action TEXT NOT NULL,
    details TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS audit_by_time ON audit (at);
CREATE TABLE IF NOT EXISTS usage (
    hour INTEGER NOT NULL,
    kind TEXT NOT NULL,
    base_model TEXT NOT NULL,
    session_id TEXT NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (hour, kind, base_model, session_id)
);
CREATE TABLE IF NOT EXISTS api_keys (
    key_id INTEGER PRIMARY KEY,
    digest BLOB NOT NULL UNIQUE,
    deleted_at REAL
);
PRAGMA user_version = 1;
"""

_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


class Database:
    """One connection to a database of the server; every method may be called from any thread."""

    def __init__(self, path: Path, schema: str = _SCHEMA) -> None:
        self._schema = schema
        self._lock = threading.RLock()
        self._connection = sqlite3.connect(
            path, isolation_level=None, check_same_thread=False, timeout=30.0
        )
        self._connection.row_factory = sqlite3.Row
        try:
            self._prepare(path)
        except BaseException as error:
            self._connection.close()
            if isinstance(error, sqlite3.DatabaseError) and error.sqlite_errorcode in _DAMAGED:
                raise RuntimeError(
                    f"{path} is damaged or no database ({error}): move it away, with {path.name}-wal"
                    " and -shm, and start again; the checkpoints are found again without it"
                ) from error
            raise

    def _prepare(self, path: Path) -> None:
        path.chmod(0o600)
        self._connection.execute("PRAGMA journal_mode = WAL")
        self._connection.execute("PRAGMA synchronous = NORMAL")
        version = self._connection.execute("PRAGMA user_version").fetchone()[0]
        if version > 1:
            raise RuntimeError(
                f"{path} was written by a newer tinkex (layout {version}, expected 1)"
            )
        # Every statement makes only what is missing, so a file of an earlier build is completed.
        self._connection.executescript(f"BEGIN IMMEDIATE;{self._schema}COMMIT;")

    @contextmanager
    def transaction(self, *, durable: bool = False) -> Iterator[sqlite3.Connection]:
        """Run the block in a write transaction: commit at its end, or roll back."""
        with self._lock:
            if durable:
                self._connection.execute("PRAGMA synchronous = FULL")
            try:
                self._connection.execute("BEGIN IMMEDIATE")
                try:
                    yield self._connection
                    self._connection.execute("COMMIT")
                except BaseException:
                    # Some failures, a full disk among them, have rolled back already.
                    if self._connection.in_transaction:
                        self._connection.execute("ROLLBACK")
                    raise
            finally:
                if durable:
                    self._connection.execute("PRAGMA synchronous = NORMAL")

    def execute(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Run one statement in a separate transaction; return the number of changed rows."""
        with self.transaction() as connection:
            return connection.execute(sql, values).rowcount

    def rows(self, sql: str, values: Sequence[Any] = ()) -> list[sqlite3.Row]:
        """Return all rows of a query."""
        with self._lock:
            return self._connection.execute(sql, values).fetchall()

    def row(self, sql: str, values: Sequence[Any] = ()) -> sqlite3.Row | None:
        """Return the first row of a query, or None."""
        with self._lock:
            found: sqlite3.Row | None = self._connection.execute(sql, values).fetchone()
            return found

    def count(self, sql: str, values: Sequence[Any] = ()) -> int:
        """Return the single number that a query selects."""
        row = self.row(sql, values)
        return int(row[0]) if row is not None else 0

    def close(self) -> None:
        """Close the connection; SQLite folds the write-ahead log into the file."""
        with self._lock:
            self._connection.close()


def insert_row(
    connection: sqlite3.Connection,
    table: str,
    row: Mapping[str, Any],
    conflict: Literal["IGNORE", "REPLACE"],
) -> None:
    """Insert a row by the names of its columns; columns that the table does not have are left out."""
    known = {column["name"] for column in connection.execute(f"PRAGMA table_info({table})")}
    names = [name for name in row if name in known]
    connection.execute(
        f"INSERT OR {conflict} INTO {table} ({', '.join(names)})"  # noqa: S608
        f" VALUES ({', '.join('?' * len(names))})",
        [row[name] for name in names],
    )


def to_json(value: Any) -> str | None:
    """Return the JSON text under which a structured value is kept in a column."""
    return None if value is None else orjson.dumps(value).decode()


def from_json(text: str | None) -> Any:
    """Return the value that `to_json` wrote."""
    return None if text is None else orjson.loads(text)
