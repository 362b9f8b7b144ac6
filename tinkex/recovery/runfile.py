"""The file of a resumable run."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Self, cast

from attrs import evolve, field, frozen

from tinkex._base.atomic_file import atomic_write
from tinkex._base.file_lock import lock_file
from tinkex.errors import CheckpointError, ValidationError

FORMAT = 1
FILE_NAME = "run.json"
LOCK_NAME = "run.lock"


@frozen(kw_only=True)
class RunCheckpoint:
    """A checkpoint of a run, with the data to resume from it.

    Attributes:
        step: The number of steps it includes; the next step has this number.
        path: Its ``tinker://`` path.
        saved_at: When it was saved.
        expires_at: When the server deletes it; None if never.
        metrics: Numbers of `ResumableRun.record`.
        state: The value of `ResumableRun.state`.
    """

    step: int
    path: str
    saved_at: datetime
    expires_at: datetime | None = None
    metrics: Mapping[str, float] = field(factory=dict)
    state: Mapping[str, Any] = field(factory=dict)

    @classmethod
    def saved_now(
        cls,
        step: int,
        path: str,
        ttl: timedelta | None,
        metrics: Mapping[str, float],
        state: Mapping[str, Any],
    ) -> Self:
        """Return the entry of a checkpoint that the server has just acknowledged."""
        now = datetime.now(UTC)
        return cls(
            step=step,
            path=path,
            saved_at=now,
            expires_at=None if ttl is None else now + ttl,
            metrics=metrics,
            state=state,
        )


@frozen(kw_only=True)
class RunRecord:
    """The contents of a run's file.

    Attributes:
        settings: The run's settings: base model, rank, seed, …
        checkpoints: The checkpoints that can be restored, oldest first.
        server: The server's URL, as configured.
    """

    settings: Mapping[str, Any]
    checkpoints: tuple[RunCheckpoint, ...] = ()
    server: str = ""

    @property
    def step(self) -> int:
        """Return the number of steps in the newest checkpoint."""
        return self.checkpoints[-1].step if self.checkpoints else 0

    def up_to(self, step: int) -> RunRecord:
        """Return a record without the checkpoints of later steps."""
        return evolve(self, checkpoints=tuple(one for one in self.checkpoints if one.step <= step))

    def with_checkpoint(self, checkpoint: RunCheckpoint) -> RunRecord:
        """Return a record with the checkpoint, which replaces any with as many steps."""
        older = self.up_to(checkpoint.step - 1).checkpoints
        return evolve(self, checkpoints=(*older, checkpoint))

    def as_json(self) -> str:
        """Return the record as JSON text."""
        checkpoints = [
            {
                "step": one.step,
                "path": one.path,
                "saved_at": one.saved_at.isoformat(),
                "expires_at": one.expires_at.isoformat() if one.expires_at else None,
                "metrics": dict(one.metrics),
                "state": dict(one.state),
            }
            for one in self.checkpoints
        ]
        return json.dumps(
            {
                "format": FORMAT,
                "settings": dict(self.settings),
                "server": self.server,
                "checkpoints": checkpoints,
            },
            indent=1,
        )

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Parse the JSON text of a record.

        Raises:
            ValueError: It is not the output of `as_json`; KeyError and TypeError mean the same.
        """
        data = json.loads(text)
        if data["format"] != FORMAT:
            raise ValueError(
                f"it has format {data['format']}, but this tinkex reads format {FORMAT}"
            )
        return cls(
            settings=dict(data["settings"]),
            server=data["server"],
            checkpoints=tuple(_checkpoint(one) for one in data["checkpoints"]),
        )


def _checkpoint(entry: Mapping[str, Any]) -> RunCheckpoint:
    expires = entry["expires_at"]
    return RunCheckpoint(
        step=int(entry["step"]),
        path=str(entry["path"]),
        saved_at=datetime.fromisoformat(entry["saved_at"]),
        expires_at=None if expires is None else datetime.fromisoformat(expires),
        metrics=dict(entry["metrics"]),
        state=dict(entry["state"]),
    )


def read_run(folder: str | os.PathLike[str]) -> RunRecord | None:
    """Return the record of the run in a folder; None if there is no run in it.

    >>> record = read_run("runs/mine")
    >>> record.step if record else 0
    0

    Can be called while the run is in progress.

    Raises:
        CheckpointError: The file exists and cannot be read.
    """
    file = Path(folder) / FILE_NAME
    try:
        return RunRecord.from_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CheckpointError(f"{file} cannot be read: {error.strerror or error}") from None
    except (ValueError, KeyError, TypeError) as error:
        raise CheckpointError(
            f"{file} is not a run file ({type(error).__name__}: {error}). It is written atomically, "
            "so a crash does not cause this; start over in another folder if it cannot be repaired"
        ) from None


def write_run(folder: Path, record: RunRecord) -> None:
    """Write the run's file, atomically and durably.

    Raises:
        CheckpointError: The file cannot be written; it is unchanged.
    """
    file = folder / FILE_NAME
    try:
        atomic_write(file, record.as_json().encode(), durable=True)
    except OSError as error:
        raise CheckpointError(f"{file} cannot be written: {error.strerror or error}") from None


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Create a run's folder, and lock it against training in other processes.

    Raises:
        CheckpointError: Another process trains in the folder, or it cannot be created.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        file = folder.joinpath(LOCK_NAME).open("ab")
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be used: {error.strerror or error}") from None
    with file:
        if not lock_file(file):
            raise CheckpointError(
                f"another process trains in {folder}; wait for it to end, or choose another folder"
            )
        for draft in folder.glob(f".{FILE_NAME}.*"):
            draft.unlink(missing_ok=True)
        yield


def checked_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the user's state as it will be read back.

    Raises:
        ValidationError: It cannot be represented in JSON.
    """
    try:
        _check_keys(state)
        return cast("dict[str, Any]", json.loads(json.dumps(state, allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise ValidationError(
            f"must be JSON values (numbers, text, lists, dicts with strings as keys): {error}",
            path="run.state",
        ) from None


def _check_keys(value: Any) -> None:
    """Refuse keys that JSON would convert to strings, and so change."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{key!r} is a key, but not a string")
            _check_keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_keys(inner)
