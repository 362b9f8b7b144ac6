"""The loss of every optimizer step, kept for the curves on the page."""

import logging
import math
import sqlite3
import threading

from tinkex.local.database import Database

logger = logging.getLogger("tinkex.local.losses")

MOST_POINTS = 400


class LossTable:
    """Loss per target token, by run and optimizer step."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._lock = threading.Lock()
        self._since_step: dict[str, tuple[float, int]] = {}

    def add(self, run_id: str, loss: float, tokens: int) -> None:
        """Note the summed loss of a forward_backward; it belongs to the next optimizer step."""
        with self._lock:
            total, count = self._since_step.get(run_id, (0.0, 0))
            self._since_step[run_id] = (total + loss, count + tokens)

    def step(self, run_id: str) -> None:
        """Write the loss that the step which was just taken is for.

        A point that cannot be written is missing from the curve; the step stays taken.
        """
        with self._lock:
            loss, tokens = self._since_step.pop(run_id, (0.0, 0))
        if not (tokens and math.isfinite(loss)):
            return
        try:
            self._database.execute(
                "INSERT INTO losses SELECT ?1, COALESCE(MAX(step), 0) + 1, ?2 FROM losses"
                " WHERE run_id = ?1",
                (run_id, loss / tokens),
            )
        except sqlite3.Error:
            logger.exception("a point of the loss curve of %s cannot be written", run_id)

    def of_run(self, run_id: str) -> list[tuple[int, float]]:
        """Return steps and losses, thinned out if there are very many."""
        rows = self._database.rows(
            "SELECT step, loss FROM losses WHERE run_id = ? ORDER BY step", (run_id,)
        )
        every = max(1, math.ceil(len(rows) / MOST_POINTS))
        return [(row["step"], row["loss"]) for row in rows[::every]]
