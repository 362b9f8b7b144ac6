"""A training log: a line of metrics per step, and plots.

>>> with TrainingLog("runs/mine/metrics.jsonl") as log:
...     log.step(1, loss=2.31, grad_norm=0.7, learning_rate=1e-4)
...     log.plot("runs/mine/training.png")

The file has JSON lines, so that other programs can read it while it grows. A resumed run appends to the
same file; repeated steps replace their earlier records.
"""

from __future__ import annotations

import json
import math
import os
import threading
import time
from pathlib import Path
from typing import Any, Self

from tinkex.errors import TinkexError, ValidationError
from tinkex.observability.loss_curve import LiveCurve, curve

__all__ = ["TrainingLog", "plot", "read"]

# Marks the first line after a log was reopened.
_RESUMED = "resumed"


class TrainingLog:
    """A file of metrics, one line per step.

    >>> with TrainingLog("metrics.jsonl") as log:
    ...     log.step(1, loss=2.31, grad_norm=0.7, learning_rate=1e-4, tokens=4096)

    Each line is written at once with a single system call, so a killed program loses none, and lines of
    threads are not mixed. A line that a crash cut short is dropped when the file is reopened.

    A notebook shows a log as its loss curve. If it is displayed before the first step, the curve grows
    as the run proceeds.

    Args:
        path: The file; missing parent folders are created. Lines are appended to an existing file.

    Attributes:
        path: The file.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = Path(path)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._lock = threading.Lock()
        self._is_resumed = _mend(self.path)
        self._file: int | None = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o666)
        self._live: LiveCurve | None = None

    def step(
        self,
        step: int,
        *,
        loss: float | None = None,
        grad_norm: float | None = None,
        learning_rate: float | None = None,
        **more: Any,
    ) -> None:
        """Write a step's line; a second line of the same step is merged with the first.

        Args:
            step: The number of the step, from 0 or 1.
            loss: The loss.
            grad_norm: The norm of the gradient, ``unclipped_grad_l2:mean`` on servers.
            learning_rate: The learning rate.
            more: Further metrics: numbers (also numpy's and torch's), text, booleans, None. Values
                that are not finite become null.

        Raises:
            ValidationError: The step is not a non-negative integer, or a value has another type.
            TinkexError: The log was closed.
        """
        number = _scalar(step, "step")
        if isinstance(number, bool) or not isinstance(number, int) or number < 0:
            raise ValidationError(
                f"must be a whole number of at least 0, not {step!r}", path="step"
            )
        record: dict[str, Any] = {"step": number, "time": round(time.time(), 3)}
        named = {"loss": loss, "grad_norm": grad_norm, "learning_rate": learning_rate}
        record |= {key: _scalar(value, key) for key, value in named.items() if value is not None}
        record |= {key: _scalar(value, key) for key, value in more.items()}
        with self._lock:
            if self._file is None:
                raise TinkexError(f"the training log {self.path} was closed; open it again")
            if self._is_resumed:
                record[_RESUMED] = True
                self._is_resumed = False
            os.write(self._file, json.dumps(record, allow_nan=False).encode() + b"\n")
        if self._live is not None:
            self._live.grown()

    def plot(self, png_path: str | os.PathLike[str]) -> Path:
        """Draw the records so far; see `plot`."""
        return plot(self.path, png_path)

    def close(self) -> None:
        """Close the file. The call is idempotent."""
        with self._lock:
            if self._file is not None:
                os.close(self._file)
                self._file = None
        if self._live is not None:
            self._live.draw()
            self._live = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _repr_html_(self) -> str:
        return curve(read(self.path))

    def _ipython_display_(self) -> None:
        """Show the loss curve in a notebook; it is redrawn while the log grows."""
        live = LiveCurve(lambda: read(self.path))
        if not live.is_open:
            # IPython in a terminal.
            print(repr(self))  # noqa: T201
            return
        live.draw()
        self._live = live

    def __repr__(self) -> str:
        return f"<TrainingLog {self.path}>"


def read(jsonl_path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return a log's records in the order of their steps, one per step.

    >>> [record["loss"] for record in read("metrics.jsonl")]
    [2.31, 1.98]

    Steps that a resumed run repeated replace their earlier records. An incomplete last line is ignored:
    it may still be being written.

    Raises:
        ValidationError: The file is missing, or a line is not a record.
    """
    path = Path(jsonl_path)
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        raise ValidationError(f"there is no training log {path}", path="jsonl_path") from None
    steps: dict[int, dict[str, Any]] = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        record = _record(line)
        if record is None:
            if number == len(lines):
                break
            raise ValidationError(f"{path}, line {number}, is not a record", path="jsonl_path")
        step = record["step"]
        if record.pop(_RESUMED, False):
            steps = {known: old for known, old in steps.items() if known < step}
        steps[step] = {**steps.get(step, {}), **record}
    return [steps[step] for step in sorted(steps)]


def plot(jsonl_path: str | os.PathLike[str], png_path: str | os.PathLike[str]) -> Path:
    """Draw a log's loss, gradient norm and learning rate over the steps, and return the picture's path.

    >>> plot("runs/mine/metrics.jsonl", "runs/mine/training.png")

    Curves without values are left out. Needs matplotlib (``pip install 'tinkex[plot]'``) but no display.

    Raises:
        ValidationError: The log is missing, or has none of the three curves.
        MissingDependencyError: matplotlib is not installed.
    """
    from tinkex.observability.training_plot import draw

    return draw(read(jsonl_path), Path(png_path), Path(jsonl_path))


def _mend(path: Path) -> bool:
    """Drop an incomplete last line; return whether any line is left."""
    try:
        file = path.open("r+b")
    except FileNotFoundError:
        return False
    with file:
        content = file.read()
        kept = content.rfind(b"\n") + 1
        if kept < len(content):
            if _record(content[kept:]) is None:
                file.truncate(kept)
            else:
                file.write(b"\n")
                kept = len(content)
    return kept > 0


def _record(line: bytes) -> dict[str, Any] | None:
    try:
        record = json.loads(line)
    except ValueError:
        return None
    is_record = isinstance(record, dict) and isinstance(record.get("step"), int)
    return record if is_record else None


def _scalar(value: Any, name: str) -> Any:
    """Return a value as JSON represents it."""
    if not isinstance(value, str | bool | int | float | None) and hasattr(value, "item"):
        try:
            value = value.item()
        except (RuntimeError, TypeError, ValueError):
            raise ValidationError("must be a single number, not an array", path=name) from None
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if value is None or isinstance(value, str | bool | int):
        return value
    raise ValidationError(
        f"must be a number, text, a boolean or None, not {type(value).__name__}", path=name
    )
