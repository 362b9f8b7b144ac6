"""The audit log: changes to checkpoints, projects and keys, in order.

An entry about a change is written in the change's own transaction, so the log holds what happened
and nothing else.
"""

import logging
import sqlite3
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any

from attrs import frozen

from tinkex.local.database import Database, from_json, to_json

logger = logging.getLogger("tinkex.local.audit")

MOST_ENTRIES = 100_000
# What each kind of event is about; `None`: everything.
RESOURCES: dict[str, str | None] = {
    "all": None,
    "checkpoints": "checkpoint",
    "projects": "project",
    "teams": "team",
    "organizations": "organization",
}


@frozen
class AuditEntry:
    """One row of the log."""

    at: float
    resource: str
    action: str
    details: dict[str, Any]


class AuditLog:
    """The audit log of every server that used this data folder."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now

    def add(self, resource: str, action: str, **details: Any) -> None:
        """Write an entry about something that changed no row.

        What was done stays done if the entry cannot be written.
        """
        try:
            with self._database.transaction() as connection:
                self.add_within(connection, resource, action, **details)
        except sqlite3.Error:
            logger.exception("the audit log lacks an entry: %s_%s", resource, action)

    def add_within(
        self, connection: sqlite3.Connection, resource: str, action: str, **details: Any
    ) -> None:
        """Write an entry as part of the transaction that makes the change."""
        cursor = connection.execute(
            "INSERT INTO audit (at, resource, action, details) VALUES (?, ?, ?, ?)",
            (self._now(), resource, action, to_json(details)),
        )
        newest = cursor.lastrowid or 0
        connection.execute("DELETE FROM audit WHERE entry_id <= ?", (newest - MOST_ENTRIES,))

    def of_day(self, day: date | None, event_type: str) -> list[AuditEntry]:
        """Return a day's entries (UTC; None: today), oldest first."""
        if day is None:
            day = datetime.fromtimestamp(self._now(), UTC).date()
        start = datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()
        resource = RESOURCES[event_type]
        rows = self._database.rows(
            "SELECT * FROM audit WHERE at >= ? AND at < ? AND (? IS NULL OR resource = ?)"
            " ORDER BY entry_id",
            (start, start + timedelta(days=1).total_seconds(), resource, resource),
        )
        return [
            AuditEntry(row["at"], row["resource"], row["action"], from_json(row["details"]))
            for row in rows
        ]
