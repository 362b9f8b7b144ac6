"""Training runs: one per model that was ever created here."""

import sqlite3
import threading
from collections.abc import Callable, Mapping
from typing import Any

from attrs import frozen

from tinkex.local.database import Database, from_json, to_json
from tinkex.local.problem import Problem


@frozen
class RunRecord:
    """One row of the runs table."""

    run_id: str
    session_id: str | None
    base_model: str
    lora_rank: int
    train_attn: bool
    train_mlp: bool
    train_unembed: bool
    created_at: float
    last_request_at: float
    project_id: str | None
    user_metadata: dict[str, str] | None


class RunTable:
    """The training runs of every server that used this data folder."""

    def __init__(self, database: Database, now: Callable[[], float]) -> None:
        self._database = database
        self._now = now
        self._lock = threading.Lock()
        self._touched: dict[str, float] = {}

    def create(
        self,
        run_id: str,
        *,
        session_id: str | None,
        base_model: str,
        lora_rank: int,
        train_attn: bool,
        train_mlp: bool,
        train_unembed: bool,
        user_metadata: Mapping[str, Any] | None,
        project_id: str | None = None,
    ) -> None:
        """Add a run."""
        now = self._now()
        self._database.execute(
            "INSERT INTO runs VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                run_id,
                session_id,
                base_model,
                lora_rank,
                train_attn,
                train_mlp,
                train_unembed,
                now,
                now,
                project_id,
                to_json(user_metadata),
            ),
        )

    def get(self, run_id: str) -> RunRecord:
        """Return a run, or raise a 404 problem."""
        self.flush()
        row = self._database.row("SELECT * FROM runs WHERE run_id = ?", (run_id,))
        if row is None:
            raise Problem(404, f"training run {run_id!r} not found")
        return _record(row)

    def page(
        self, limit: int, offset: int, project_id: str | None = None
    ) -> tuple[list[RunRecord], int]:
        """Return a page of runs, newest first, and how many there are in all."""
        self.flush()
        where, values = ("WHERE project_id = ?", [project_id]) if project_id else ("", [])
        rows = self._database.rows(
            f"SELECT * FROM runs {where} ORDER BY created_at DESC, rowid DESC LIMIT ? OFFSET ?",  # noqa: S608
            [*values, limit, offset],
        )
        total = self._database.count(f"SELECT COUNT(*) FROM runs {where}", values)  # noqa: S608
        return [_record(row) for row in rows], total

    def ids_of_session(self, session_id: str) -> list[str]:
        """Return the ids of a session's runs, oldest first."""
        rows = self._database.rows(
            "SELECT run_id FROM runs WHERE session_id = ? ORDER BY created_at, rowid", (session_id,)
        )
        return [row["run_id"] for row in rows]

    def touch(self, run_id: str) -> None:
        """Note that the run got a request now; written to the database by the next `flush`."""
        with self._lock:
            self._touched[run_id] = self._now()

    def flush(self) -> None:
        """Write the noted request times."""
        with self._lock:
            touched, self._touched = self._touched, {}
        if touched:
            with self._database.transaction() as connection:
                connection.executemany(
                    "UPDATE runs SET last_request_at = ? WHERE run_id = ?",
                    [(when, run_id) for run_id, when in touched.items()],
                )


def _record(row: sqlite3.Row) -> RunRecord:
    values = {name: row[name] for name in RunRecord.__annotations__}
    for flag in ("train_attn", "train_mlp", "train_unembed"):
        values[flag] = bool(row[flag])
    values["user_metadata"] = from_json(row["user_metadata"])
    return RunRecord(**values)
