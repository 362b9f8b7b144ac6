"""A few samples from each state of a run's weights, kept to be shown."""

import logging
import sqlite3
import threading
from collections.abc import Callable, Sequence

import numpy as np
from attrs import field, frozen

from tinkex.local.changes import Changes
from tinkex.local.database import Database
from tinkex.local.engine import SampleJob, SampleResult

logger = logging.getLogger("tinkex.local.shown_samples")

MOST_SAMPLES = 4
# States of the weights of one run: a reinforcement learning run has one for each step.
MOST_SNAPSHOTS = 200
LONGEST_TEXT = 2000


@frozen
class Snapshot:
    """A state of a run's weights, with samples from it: pairs of prompt and continuation."""

    label: str
    step: int
    at: float
    samples: list[tuple[str, str]] = field(factory=list)


class ShownSamples:
    """The first samples from each saved state of every run on this data folder."""

    def __init__(self, database: Database, now: Callable[[], float], changes: Changes) -> None:
        self._database = database
        self._now = now
        self._changes = changes
        self._lock = threading.Lock()
        # How many more samples are kept of a state of the weights.
        self._room: dict[str, int] = {}

    def saved(self, key: str, run_id: str, step: int, label: str) -> None:
        """Note which run and step the adapter `key` is from, so that its samples are kept."""
        with self._lock:
            self._room[key] = MOST_SAMPLES
        try:
            with self._database.transaction() as connection:
                connection.execute(
                    "INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, ?, ?)",
                    (key, run_id, step, label, self._now()),
                )
                old = connection.execute(
                    # In the order of saving, which a clock that is set back does not change.
                    "SELECT adapter FROM snapshots WHERE run_id = ? ORDER BY rowid DESC"
                    " LIMIT -1 OFFSET ?",
                    (run_id, MOST_SNAPSHOTS),
                ).fetchall()
                for (gone,) in old:
                    connection.execute("DELETE FROM samples WHERE adapter = ?", (gone,))
                    connection.execute("DELETE FROM snapshots WHERE adapter = ?", (gone,))
        except sqlite3.Error:
            logger.exception("samples of %s will not be shown", label)

    def add(
        self,
        key: str,
        job: SampleJob,
        result: SampleResult,
        decode: Callable[[Sequence[int]], str] | None,
        vocabulary: int,
    ) -> None:
        """Keep the first sequence of a result, if it is among the first of these weights."""
        if decode is None or not result.sequences:
            return
        try:
            if not self._takes(key):
                return
            prompt = np.asarray(job.prompt)
            # Tokens beyond the vocabulary are parts of an image.
            text = decode(prompt[prompt < vocabulary].tolist())
            sampled = decode(result.sequences[0].tokens)
            self._database.execute(
                "INSERT INTO samples (adapter, prompt, sampled) VALUES (?, ?, ?)",
                (key, text[-LONGEST_TEXT:], sampled[:LONGEST_TEXT]),
            )
        except sqlite3.Error:
            logger.exception("a sample cannot be kept")
        self._changes.note()

    def of_run(self, run_id: str) -> list[Snapshot]:
        """Return the states of a run's weights that have samples, newest first."""
        rows = self._database.rows(
            "SELECT label, step, at, prompt, sampled, snapshots.adapter FROM snapshots JOIN samples"
            " USING (adapter) WHERE run_id = ? ORDER BY snapshots.rowid DESC, sample_id",
            (run_id,),
        )
        found: dict[str, Snapshot] = {}
        for row in rows:
            one = found.setdefault(row["adapter"], Snapshot(row["label"], row["step"], row["at"]))
            one.samples.append((row["prompt"], row["sampled"]))
        return list(found.values())

    def step_of(self, key: str) -> int | None:
        """Return the step at which an adapter was saved, or None if that is not known."""
        row = self._database.row("SELECT step FROM snapshots WHERE adapter = ?", (key,))
        return None if row is None else int(row["step"])

    def _takes(self, key: str) -> bool:
        """Count a sample from these weights; return whether to keep it."""
        with self._lock:
            room = self._room.get(key)
            if room is None:
                # Saved before this server started, or none of ours.
                known = self._database.row("SELECT 1 FROM snapshots WHERE adapter = ?", (key,))
                kept = self._database.count(
                    "SELECT COUNT(*) FROM samples WHERE adapter = ?", (key,)
                )
                room = 0 if known is None else MOST_SAMPLES - kept
            self._room[key] = max(0, room - 1)
            return room > 0
