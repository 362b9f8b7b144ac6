"""The metrics of each run by optimizer step, and its settings, kept for the charts of the page."""

import logging
import math
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from attrs import field, frozen

from tinkex.local.changes import Changes
from tinkex.local.database import Database, from_json, to_json

logger = logging.getLogger("tinkex.local.metrics")

# More points than a chart is wide show nothing more.
MOST_POINTS = 2000
MOST_IN_SKETCH = 200


@frozen
class Series:
    """One metric of one run: optimizer steps, values, and when each was written."""

    steps: list[int] = field(factory=list)
    values: list[float] = field(factory=list)
    times: list[float] = field(factory=list)

    def add(self, row: sqlite3.Row) -> None:
        """Append a point."""
        self.steps.append(row["step"])
        self.values.append(row["value"])
        self.times.append(row["at"])


# Series by run and metric.
RunSeries = dict[str, dict[str, Series]]


class MetricTable:
    """The metrics of every run on this data folder."""

    def __init__(self, database: Database, now: Callable[[], float], changes: Changes) -> None:
        self._database = database
        self._now = now
        self._changes = changes

    def write(self, run_id: str, step: int, values: Mapping[str, float]) -> None:
        """Write the metrics of a step; an existing point is replaced.

        A point that cannot be written is missing from the charts; the step stays taken.
        """
        now = self._now()
        rows = [
            (run_id, name, step, float(value), now)
            for name, value in values.items()
            if math.isfinite(value)
        ]
        if rows:
            self._change(
                "INSERT OR REPLACE INTO metrics (run_id, name, step, value, at)"
                " VALUES (?, ?, ?, ?, ?)",
                rows,
            )

    def remove(self, run_id: str, name: str, step: int) -> None:
        """Remove a point if it exists."""
        self._change(
            "DELETE FROM metrics WHERE run_id = ? AND name = ? AND step = ?", [(run_id, name, step)]
        )

    def rewind(self, run_id: str, step: int) -> None:
        """Remove what came after a step: the run went back to it."""
        self._change("DELETE FROM metrics WHERE run_id = ? AND step > ?", [(run_id, step)])

    def last_step(self, run_id: str) -> int:
        """Return the last step that has a loss, or 0."""
        return self._database.count(
            "SELECT COALESCE(MAX(step), 0) FROM metrics WHERE run_id = ? AND name = 'loss'",
            (run_id,),
        )

    def losses(self, run_id: str) -> list[tuple[int, float]]:
        """Return steps and losses, thinned out if there are very many."""
        found = self._thinned(run_id, "loss", MOST_IN_SKETCH)
        return list(zip(found.steps, found.values, strict=True))

    def cursor(self) -> int:
        """Return the number of the newest point, for `since`."""
        return self._database.count("SELECT COALESCE(MAX(entry_id), 0) FROM metrics")

    def whole(self, run_id: str) -> dict[str, Series]:
        """Return a run's metrics, thinned out where there are very many points."""
        rows = self._database.rows(
            "SELECT DISTINCT name FROM metrics WHERE run_id = ? ORDER BY name", (run_id,)
        )
        return {row["name"]: self._thinned(run_id, row["name"], MOST_POINTS) for row in rows}

    def since(self, run_ids: Sequence[str], cursor: int) -> RunSeries:
        """Return the points written after a cursor."""
        found: RunSeries = {}
        rows = self._database.rows(
            "SELECT run_id, name, step, value, at FROM metrics WHERE entry_id > ? ORDER BY entry_id",
            (cursor,),
        )
        for row in rows:
            if row["run_id"] in run_ids:
                series = found.setdefault(row["run_id"], {}).setdefault(row["name"], Series())
                series.add(row)
        return found

    def _thinned(self, run_id: str, name: str, most: int) -> Series:
        """Return every n-th point, counted from the last one."""
        key = (run_id, name)
        count = self._database.count(
            "SELECT COUNT(*) FROM metrics WHERE run_id = ? AND name = ?", key
        )
        every = max(1, math.ceil(count / most))
        rows = self._database.rows(
            "SELECT step, value, at FROM (SELECT step, value, at, ROW_NUMBER() OVER (ORDER BY step"
            " DESC) AS place FROM metrics WHERE run_id = ? AND name = ?)"
            " WHERE (place - 1) % ? = 0 ORDER BY step",
            (*key, every),
        )
        series = Series()
        for row in rows:
            series.add(row)
        return series

    def set_settings(self, run_id: str, settings: Mapping[str, Any]) -> None:
        """Write the settings that a run trains with."""
        self._change("INSERT OR REPLACE INTO settings VALUES (?, ?)", [(run_id, to_json(settings))])

    def settings(self, run_id: str) -> dict[str, Any]:
        """Return the settings that a run trained with last."""
        row = self._database.row("SELECT settings FROM settings WHERE run_id = ?", (run_id,))
        found: dict[str, Any] = {} if row is None else from_json(row["settings"])
        return found

    def _change(self, sql: str, rows: Sequence[Sequence[Any]]) -> None:
        try:
            with self._database.transaction() as connection:
                connection.executemany(sql, rows)
        except sqlite3.Error:
            logger.exception("a metric of %s cannot be written", rows[0][0])
        self._changes.note()
