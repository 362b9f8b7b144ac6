"""The log of each run: what happened to it, in sentences.

Entries are gathered in memory and written from time to time, since the event loop adds some; a
server that is killed loses those of its last seconds.
"""

import logging
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from typing import Literal

from attrs import frozen

from tinkex.local.changes import Changes
from tinkex.local.database import Database

logger = logging.getLogger("tinkex.local.run_log")

MOST_ENTRIES = 500
MOST_NEW = 5000
LONGEST_TEXT = 1000
Level = Literal["info", "error"]


@frozen
class LogEntry:
    """One line of a run's log."""

    at: float
    level: Level
    text: str


class RunLog:
    """The newest entries of every run on this data folder."""

    def __init__(self, database: Database, now: Callable[[], float], changes: Changes) -> None:
        self._database = database
        self._now = now
        self._changes = changes
        self._lock = threading.Lock()
        self._new: deque[tuple[str, float, Level, str]] = deque(maxlen=MOST_NEW)

    def add(self, run_id: str, text: str, level: Level = "info") -> None:
        """Add an entry."""
        with self._lock:
            self._new.append((run_id, self._now(), level, text[:LONGEST_TEXT]))
        self._changes.note()

    def flush(self) -> None:
        """Write the gathered entries; only the newest of each run stay."""
        with self._lock:
            entries = list(self._new)
            self._new.clear()
        if not entries:
            return
        try:
            with self._database.transaction() as connection:
                connection.executemany(
                    "INSERT INTO run_log (run_id, at, level, text) VALUES (?, ?, ?, ?)", entries
                )
                connection.executemany(
                    "DELETE FROM run_log WHERE run_id = ? AND entry_id <= (SELECT entry_id FROM"
                    " run_log WHERE run_id = ? ORDER BY entry_id DESC LIMIT 1 OFFSET ?)",
                    [(run_id, run_id, MOST_ENTRIES) for run_id in {entry[0] for entry in entries}],
                )
        except sqlite3.Error:
            logger.exception("%d entries of the logs of runs are lost", len(entries))

    def of_run(self, run_id: str) -> list[LogEntry]:
        """Return a run's entries, newest first."""
        self.flush()
        rows = self._database.rows(
            "SELECT at, level, text FROM run_log WHERE run_id = ? ORDER BY entry_id DESC", (run_id,)
        )
        return [LogEntry(row["at"], row["level"], row["text"]) for row in rows]
