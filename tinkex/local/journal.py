"""The journal: when each request of a session was accepted, started and finished, for traces.

Entries are gathered in memory and written from time to time; a server that is killed loses those of
its last seconds.
"""

import logging
import sqlite3
import threading

from attrs import frozen

from tinkex.local.database import Database
from tinkex.local.futures import Promise

logger = logging.getLogger("tinkex.local.journal")

MOST_ENTRIES = 200_000


@frozen
class JournalEntry:
    """One request, from its arrival to its result; times in seconds since 1970.

    `track` is the model or sampler it was for. `began_at` is None for a request that never ran.
    """

    request_id: str
    session_id: str
    operation: str
    track: str
    opened_at: float
    began_at: float | None
    finished_at: float
    failed: bool


class Journal:
    """The finished requests of every server that used this data folder."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._entries: list[JournalEntry] = []

    def add(self, promise: Promise) -> None:
        """Add a finished request; those without a session are ignored."""
        if promise.session_id is None:
            return
        entry = JournalEntry(
            request_id=promise.request_id,
            session_id=promise.session_id,
            operation=promise.operation,
            track=promise.track,
            opened_at=promise.opened_at,
            began_at=promise.began_at,
            finished_at=promise.finished_at,
            failed=promise.failed,
        )
        with self._lock:
            self._entries.append(entry)

    def flush(self) -> None:
        """Write the gathered entries; only the newest of all stay."""
        with self._lock:
            entries, self._entries = self._entries, []
        if not entries:
            return
        fields = JournalEntry.__annotations__
        values = [tuple(getattr(entry, name) for name in fields) for entry in entries]
        try:
            with self._database.transaction() as connection:
                connection.executemany(
                    f"INSERT INTO journal ({', '.join(fields)}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",  # noqa: S608
                    values,
                )
                connection.execute(
                    "DELETE FROM journal WHERE entry_id <= (SELECT MAX(entry_id) FROM journal) - ?",
                    (MOST_ENTRIES,),
                )
        except sqlite3.Error:
            logger.exception("%d entries of the journal are lost", len(entries))

    def of_session(self, session_id: str) -> list[JournalEntry]:
        """Return a session's requests in the order in which they arrived."""
        self.flush()
        rows = self._database.rows(
            "SELECT * FROM journal WHERE session_id = ? ORDER BY opened_at, entry_id", (session_id,)
        )
        return [_entry(row) for row in rows]


def _entry(row: sqlite3.Row) -> JournalEntry:
    values = {name: row[name] for name in JournalEntry.__annotations__}
    values["failed"] = bool(values["failed"])
    return JournalEntry(**values)
