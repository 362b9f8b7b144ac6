"""Usage: tokens trained, read and sampled, and checkpoints written, by hour.

Counts are gathered in memory and written from time to time, so counting costs a training step
nothing; a server that is killed loses those of its last seconds.
"""

import logging
import sqlite3
import threading
from collections.abc import Callable
from typing import Literal

from attrs import frozen

from tinkex.local.database import Database

logger = logging.getLogger("tinkex.local.usage")

HOUR_S = 3600

UsageKind = Literal["training", "sampling_prefill", "sampling_sample", "checkpoint"]


@frozen
class UsageRow:
    """How much of one kind was used in one hour, by one session on one base model."""

    hour: int
    kind: UsageKind
    base_model: str
    session_id: str | None
    project_id: str | None
    count: int


class UsageTable:
    """The usage of every server that used this data folder."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now
        self._lock = threading.Lock()
        self._counts: dict[tuple[int, UsageKind, str, str], int] = {}

    def add(self, kind: UsageKind, base_model: str, session_id: str | None, count: int) -> None:
        """Count something that was used just now."""
        hour = int(self._now() // HOUR_S)
        key = (hour, kind, base_model, session_id or "")
        if count:
            with self._lock:
                self._counts[key] = self._counts.get(key, 0) + count

    def flush(self) -> None:
        """Write the counts; if that fails, they are written later."""
        with self._lock:
            counts, self._counts = self._counts, {}
        if not counts:
            return
        try:
            with self._database.transaction() as connection:
                connection.executemany(
                    "INSERT INTO usage VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
                    " SET count = count + excluded.count",
                    [(*key, count) for key, count in counts.items()],
                )
        except sqlite3.Error:
            logger.exception("usage cannot be written; it is tried again later")
            with self._lock:
                for key, count in counts.items():
                    self._counts[key] = self._counts.get(key, 0) + count

    def totals(self) -> dict[str, int]:
        """Return how much was ever used of each kind."""
        self.flush()
        rows = self._database.rows("SELECT kind, SUM(count) AS total FROM usage GROUP BY kind")
        return {row["kind"]: row["total"] for row in rows}

    def window(self, start: float, end: float) -> list[UsageRow]:
        """Return the usage from `start` until before `end` (full hours, seconds since 1970).

        By hour, then by falling count.
        """
        self.flush()
        rows = self._database.rows(
            "SELECT usage.*, sessions.project_id FROM usage LEFT JOIN sessions USING (session_id)"
            " WHERE hour >= ? AND hour < ? ORDER BY hour, count DESC, kind, base_model, session_id",
            (start / HOUR_S, end / HOUR_S),
        )
        return [
            UsageRow(
                hour=row["hour"],
                kind=row["kind"],
                base_model=row["base_model"],
                session_id=row["session_id"] or None,
                project_id=row["project_id"],
                count=row["count"],
            )
            for row in rows
        ]
