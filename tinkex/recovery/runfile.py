"""The file in which a resumable run keeps what it needs to go on."""

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
from tinkex.checkpoints.staging import try_lock
from tinkex.errors import CheckpointError, ValidationError

FORMAT = 1
FILE_NAME = "run.json"
LOCK_NAME = "run.lock"


@frozen(kw_only=True)
class RunCheckpoint:
    """Hold one checkpoint of a run, and what it takes to go on from it.

    Attributes:
        step: How many steps it holds; the next step has this number.
        path: Its ``tinker://`` path.
        saved_at: When it was saved.
        expires_at: When the server deletes it; None never.
        metrics: Numbers that were recorded by `ResumableRun.record`.
        state: What `ResumableRun.state` held then.
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
    """Hold what a resumable run has written down.

    Attributes:
        settings: What the run was begun with: base model, rank, seed, …
        checkpoints: Those that it can go back to, oldest first.
        server: The server's URL, as it was given.
    """

    settings: Mapping[str, Any]
    checkpoints: tuple[RunCheckpoint, ...] = ()
    server: str = ""

    @property
    def step(self) -> int:
        """Return the number of steps that the newest checkpoint holds."""
        return self.checkpoints[-1].step if self.checkpoints else 0

    def up_to(self, step: int) -> RunRecord:
        """Return a record without the checkpoints that hold more steps."""
        return evolve(self, checkpoints=tuple(one for one in self.checkpoints if one.step <= step))

    def with_checkpoint(self, checkpoint: RunCheckpoint) -> RunRecord:
        """Return a record with one more checkpoint, without those that hold as many steps."""
        older = self.up_to(checkpoint.step - 1).checkpoints
        return evolve(self, checkpoints=(*older, checkpoint))

    def as_json(self) -> str:
        """Return the file's text."""
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
        """Read the file's text.

        Raises:
            ValueError: It is not what `as_json` writes; KeyError and TypeError say so too.
        """
        data = json.loads(text)
        if data["format"] != FORMAT:
            raise ValueError(f"it has format {data['format']}, and this tinkex reads {FORMAT}")
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
    """Return what a run has written down in its folder; None if there is no run in it.

    >>> record = read_run("runs/mine")
    >>> record.step if record else 0
    0

    It may be read while the run goes on.

    Raises:
        CheckpointError: The file is there and cannot be read.
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
            f"{file} is no run file ({type(error).__name__}: {error}). It is replaced in one piece, "
            "so a crash does not do this; begin in another folder if it cannot be mended"
        ) from None


def write_run(folder: Path, record: RunRecord) -> None:
    """Replace the run's file, in one piece and flushed to the disk, or leave it as it was.

    Raises:
        CheckpointError: It cannot be written.
    """
    file = folder / FILE_NAME
    try:
        atomic_write(file, record.as_json().encode(), durable=True)
    except OSError as error:
        raise CheckpointError(f"{file} cannot be written: {error.strerror or error}") from None


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Make a run's folder, and keep other processes from training in it at the same time.

    Raises:
        CheckpointError: Another process trains in it, or it cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = folder.joinpath(LOCK_NAME).open("ab")
    except OSError as error:
        raise CheckpointError(f"{folder} cannot be used: {error.strerror or error}") from None
    with lock:
        if not try_lock(lock):
            raise CheckpointError(
                f"another process trains in {folder}; wait for it to end, or choose another folder"
            )
        for draft in folder.glob(f".{FILE_NAME}.*"):
            draft.unlink(missing_ok=True)
        yield


def checked_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the user's state as it will be read back.

    Raises:
        ValidationError: JSON cannot hold it.
    """
    try:
        _check_keys(state)
        return cast("dict[str, Any]", json.loads(json.dumps(state, allow_nan=False)))
    except (TypeError, ValueError) as error:
        raise ValidationError(
            "must be plain values that JSON can hold (numbers, text, lists, dicts with strings as "
            f"keys): {error}",
            path="run.state",
        ) from None


def _check_keys(value: Any) -> None:
    """Refuse keys that JSON would turn into text, so that they came back as others."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if not isinstance(key, str):
                raise TypeError(f"{key!r} is a key and no string")
            _check_keys(inner)
    elif isinstance(value, list | tuple):
        for inner in value:
            _check_keys(inner)
