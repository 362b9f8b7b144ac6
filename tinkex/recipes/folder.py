"""The folder of a run: what it was asked to do, and its result."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from attrs import asdict, frozen

from tinkex._base.atomic_file import atomic_write
from tinkex._core.checks import checked_count, checked_name
from tinkex.errors import CheckpointError, TinkexError, ValidationError
from tinkex.recipes.examples import ExampleFile
from tinkex.recipes.reading import Form, read_examples
from tinkex.recipes.recipe import Recipe
from tinkex.recipes.sources import STANDARD_INPUT, Data

PLAN = "finetune.json"
METRICS = "metrics.jsonl"
PLOT = "training.png"
REFERENCE = "reference.json"
ROLLOUTS = "rollouts.jsonl"
# Where runs are, and what names the last one of them.
RUNS = Path("runs")
LATEST = "latest"
Weights = Literal["sampler", "training", "any"]
_WEIGHTS = {"sampler": "weights to sample from", "training": "checkpoint to train on from"}
_FORMAT = 1
# As the contract has it for the names of checkpoints.
_NAME = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9_.-]*")
_LONGEST_NAME = 255
_OWN_NAME = re.compile(r"step-\d{7,}")


@frozen(kw_only=True)
class Source:
    """Where examples came from, so that they can be read again and a change is noticed.

    Attributes:
        path: The file, absolute; a folder; the name of a data set; "-" for standard input; None for
            objects of a program.
        sha256: The digest of its bytes, in hex.
        columns: Which column is what, if columns were named.
        split: The split of the data set, if one was named.
    """

    path: str | None
    sha256: str
    columns: Mapping[str, str] | None = None
    split: str | None = None

    @classmethod
    def of(cls, file: ExampleFile) -> Source:
        """Return the source of examples."""
        return cls(path=file.origin, sha256=file.sha256, columns=file.columns, split=file.split)

    def read(self, elsewhere: Data | None = None, form: Form = "examples") -> ExampleFile:
        """Return the examples, unchanged since the run began.

        Args:
            form: What each row is read as; see `read_examples`.
            elsewhere: Where they are now, if they were moved.

        Raises:
            ValidationError: The examples were changed, or cannot be read again.
        """
        place = self.path if elsewhere is None else elsewhere
        if place is None or (place == STANDARD_INPUT and elsewhere is None):
            raise ValidationError(
                "the examples came from no file: give them again, as the FILE of --resume ('-' for "
                "standard input)",
                path="source",
            )
        file = read_examples(place, columns=self.columns, split=self.split, form=form)
        self.check(file)
        return file

    def check(self, file: ExampleFile) -> None:
        """Refuse a file with other bytes.

        Raises:
            ValidationError: The file was changed since the run began.
        """
        if file.sha256 != self.sha256:
            raise ValidationError(
                "was changed since the run began, so the run cannot continue where it was. Put the "
                "file back as it was, or begin a new run in another folder",
                path=file.name,
            )


@frozen(kw_only=True)
class Plan:
    """What a run was asked to do; together with its checkpoints enough to resume it.

    Attributes:
        recipe: How it is trained.
        data: The examples to train on.
        held_out: Examples for the validation loss, if they have a file of their own.
        checkpoint_every: Steps from one checkpoint to the next.
        measure_every: Steps from one measurement of the validation loss to the next.
        name: The name of what is saved at the end.
        samples: Prompts to answer before and after.
        keep_best: Whether the weights with the best validation are kept, as the checkpoint "best".
        patience: Measurements without improvement after which the run stops early; None never.
        tokenizer: Name or path of the tokenizer, if it is not the model's own.
        result: The result; None until it has ended.
        failure: The error that ended it; None if none did.
    """

    recipe: Recipe
    data: Source
    held_out: Source | None = None
    checkpoint_every: int = 50
    measure_every: int | None = None
    name: str = "final"
    samples: tuple[str, ...] = ()
    tokenizer: str | None = None
    keep_best: bool = True
    patience: int | None = None
    result: dict[str, Any] | None = None
    failure: str | None = None

    def __attrs_post_init__(self) -> None:
        # Training takes hours, and its end must not fail for what its beginning could have refused.
        checked_name(self.name)
        if not _NAME.fullmatch(self.name) or len(self.name) > _LONGEST_NAME:
            raise ValidationError(
                f"must be letters, digits, '.', '_' and '-', at most {_LONGEST_NAME} and not beginning "
                f"with '.', not {self.name!r:.60}",
                path="name",
            )
        if _OWN_NAME.fullmatch(self.name):
            raise ValidationError(
                f"{self.name!r} is how the run names its own checkpoints; choose another name",
                path="name",
            )
        checked_count(self.checkpoint_every, "checkpoint_every", 1)
        if self.measure_every is not None:
            checked_count(self.measure_every, "measure_every", 1)
        if self.patience is not None:
            checked_count(self.patience, "patience", 1)
        for index, prompt in enumerate(self.samples):
            _check_sample(prompt, f"samples[{index}]")

    def write(self, folder: Path) -> None:
        """Write the plan into its folder, atomically.

        Raises:
            CheckpointError: The folder cannot be written to.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            record = {"format": _FORMAT, **asdict(self), "recipe": self.recipe.to_dict()}
            written = json.dumps(record, indent=1)
            atomic_write(folder / PLAN, written.encode())
        except OSError as error:
            raise CheckpointError(
                f"{folder} cannot be written to: {error.strerror or error}"
            ) from None

    @classmethod
    def read(cls, folder: Path) -> Plan:
        """Return the plan of a run that was begun in a folder.

        Raises:
            CheckpointError: There is none, or it cannot be read.
        """
        file = folder / PLAN
        try:
            value = json.loads(file.read_text(encoding="utf-8"))
            if value.pop("format") != _FORMAT:
                raise CheckpointError(f"{file} was written by another version of tinkex")
            return cls(
                recipe=Recipe.from_dict(value.pop("recipe")),
                data=Source(**value.pop("data")),
                held_out=Source(**held) if (held := value.pop("held_out")) else None,
                samples=tuple(value.pop("samples")),
                **value,
            )
        except FileNotFoundError:
            raise CheckpointError(f"there is no run in {folder}: it has no {PLAN}") from None
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise CheckpointError(f"{file} cannot be read: {error}") from None


def _check_sample(prompt: Any, path: str) -> None:
    if not isinstance(prompt, str) or not prompt.strip():
        raise ValidationError("must be a text for the model to answer, not empty", path=path)
    try:
        prompt.encode()
    except UnicodeEncodeError:
        raise ValidationError("holds bytes that are no text in UTF-8", path=path) from None


@contextlib.contextmanager
def begun_in(folder: Path) -> Iterator[Callable[[], None]]:
    """Leave nothing of a run in a folder if it fails before it has begun.

    Yields:
        A function to call when the run has begun; from then on everything stays.
    """
    from tinkex.recovery.runfile import FILE_NAME, LOCK_NAME

    was_there = folder.exists()
    names = (PLAN, FILE_NAME, LOCK_NAME, REFERENCE, ROLLOUTS)
    old = {name for name in names if (folder / name).is_file()}
    plan = (folder / PLAN).read_bytes() if PLAN in old else b""
    kept: list[bool] = []
    try:
        yield lambda: kept.append(True)
    except BaseException:
        if not kept:
            for name in set(names) - old:
                (folder / name).unlink(missing_ok=True)
            if PLAN in old:
                # A run with another plan is there; it stays what it was.
                atomic_write(folder / PLAN, plan)
            if not was_there:
                with contextlib.suppress(OSError):
                    folder.rmdir()
        raise


def has_run(folder: Path) -> bool:
    """Return whether a run was begun in a folder."""
    return (folder / PLAN).exists()


def latest_run(base: Path = RUNS) -> Path:
    """Return the folder below `base` whose run was begun last.

    Raises:
        CheckpointError: There is none.
    """
    runs = [one.parent for one in base.glob(f"*/{PLAN}")]
    if not runs:
        raise CheckpointError(f"there is no run in {base}")
    return max(runs, key=_begun_at)


def _begun_at(folder: Path) -> float:
    # The plan is written again when the run ends, the lock only when it begins or continues.
    from tinkex.recovery.runfile import LOCK_NAME

    marks = [folder / LOCK_NAME, folder / PLAN]
    return next(mark.stat().st_mtime for mark in marks if mark.exists())


def checkpoint_path(named: str, kind: Weights = "sampler") -> str:
    """Return the path of the weights that a text names: a run's folder, ``latest``, or a path itself.

    >>> checkpoint_path("tinker://run-1:train:0/sampler_weights/final")
    'tinker://run-1:train:0/sampler_weights/final'

    With ``@best`` behind a folder or ``latest`` it is that of the weights with the best validation.
    What names no run is returned as it is: it is a path already, or the name of a base model.

    Args:
        named: The text.
        kind: "sampler" for weights to sample from, "training" for a checkpoint to train on from, "any"
            for the former, or the latter if there are none yet.

    Raises:
        CheckpointError: The run has no such checkpoint, or there is no run at all.
    """
    place, _, which = named.partition("@")
    is_latest = place == LATEST and not Path(LATEST).exists()
    if which not in ("", "best") or not (is_latest or has_run(Path(place))):
        return named
    folder = latest_run() if is_latest else Path(place)
    return _checkpoint_of(folder, kind, best=which == "best")


def _checkpoint_of(folder: Path, kind: Weights, *, best: bool) -> str:
    """Return the path of a run's checkpoint: the one that was saved at its end, or the newest."""
    from tinkex.recovery.runfile import read_run

    plan, record = Plan.read(folder), read_run(folder)
    newest = record.checkpoints[-1] if record is not None and record.checkpoints else None
    known: Mapping[str, Any] = plan.result or {}
    if best:
        known = known.get("best") or (newest.state.get("best") if newest else None) or {}
    found = known.get("state_path") if kind == "training" else known.get("sampler_path")
    if not found and kind != "sampler" and newest is not None and not best:
        found = newest.path
    if found:
        return str(found)
    what = "best checkpoint" if best else "checkpoint" if kind == "any" else _WEIGHTS[kind]
    raise CheckpointError(
        f"the run in {folder} has no {what}"
        + ("" if plan.result else f" yet; continue it: tinkex train --resume {folder}")
    )


@frozen(kw_only=True)
class RunSummary:
    """A run at a glance, by what stands in its folder.

    Attributes:
        folder: The run's folder.
        name: The folder's name.
        method: "sft", "dpo", "grpo" or "distill".
        state: "running", "finished", "stopped" (it can be resumed) or "failed".
        step: Steps that were reported.
        loss: The last loss, if there is one.
        updated: When the last of them was, in seconds since 1970.
    """

    folder: str
    name: str
    method: str
    state: str
    step: int
    loss: float | None
    updated: float | None


def summary(folder: Path) -> RunSummary:
    """Return a run at a glance.

    Raises:
        CheckpointError: There is no run in the folder.
    """
    from tinkex.observability import training_log

    plan = Plan.read(folder)
    records: list[dict[str, Any]] = []
    with contextlib.suppress(TinkexError):
        records = training_log.read(folder / METRICS)
    losses = [one["loss"] for one in records if one.get("loss") is not None]
    state = "finished" if plan.result is not None else "failed" if plan.failure else "stopped"
    return RunSummary(
        folder=str(folder),
        name=folder.resolve().name,
        method=plan.recipe.method,
        state="running" if _is_locked(folder) else state,
        step=int(records[-1]["step"]) if records else 0,
        loss=losses[-1] if losses else None,
        updated=records[-1].get("time") if records else None,
    )


def _is_locked(folder: Path) -> bool:
    """Return whether a process trains in a folder."""
    from tinkex._base.file_lock import lock_file
    from tinkex.recovery.runfile import LOCK_NAME

    try:
        with (folder / LOCK_NAME).open("ab") as lock:
            return not lock_file(lock)
    except OSError:
        return False
