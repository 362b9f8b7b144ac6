"""The folder of a run: what it was asked to do, and what came of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from attrs import asdict, frozen

from tinkex.checks import checked_name
from tinkex.errors import CheckpointError, ValidationError
from tinkex.finetune.examples import ExampleFile
from tinkex.finetune.recipe import Recipe
from tinkex.whole_file import write_whole

PLAN = "finetune.json"
METRICS = "metrics.jsonl"
PLOT = "training.png"
_FORMAT = 1


@frozen(kw_only=True)
class Source:
    """Name a file of examples, so that a changed one is noticed.

    Attributes:
        path: The file, absolute.
        sha256: The digest of its bytes, in hex.
    """

    path: str
    sha256: str

    @classmethod
    def of(cls, file: ExampleFile) -> Source:
        """Return the source that a file is."""
        return cls(path=str(file.path.absolute()), sha256=file.sha256)

    def check(self, file: ExampleFile) -> None:
        """Refuse a file with other bytes.

        Raises:
            ValidationError: The file was changed since the run began.
        """
        if file.sha256 != self.sha256:
            raise ValidationError(
                "was changed since the run began, so the run cannot go on where it was. Put the "
                "file back as it was, or begin a new run in another folder",
                path=str(file.path),
            )


@frozen(kw_only=True)
class Plan:
    """Hold what a run was asked to do; together with its checkpoints enough to go on.

    Attributes:
        recipe: How it is trained.
        data: The examples to train on.
        held_out: Examples to measure the loss on, if they have a file of their own.
        checkpoint_every: Steps from one checkpoint to the next.
        measure_every: Steps from one measurement of the held-out loss to the next.
        name: The name of what is saved at the end.
        samples: Prompts to answer before and after.
        tokenizer: Name or path of the tokenizer, if it is not the model's own.
        result: What came of it; None until it has ended.
    """

    recipe: Recipe
    data: Source
    held_out: Source | None = None
    checkpoint_every: int = 50
    measure_every: int | None = None
    name: str = "final"
    samples: tuple[str, ...] = ()
    tokenizer: str | None = None
    result: dict[str, Any] | None = None

    def __attrs_post_init__(self) -> None:
        # Training takes hours, and what came of it must not fail to be saved for its name.
        checked_name(self.name)

    def write(self, folder: Path) -> None:
        """Write the plan into its folder, in one piece.

        Raises:
            CheckpointError: The folder cannot be written to.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            written = json.dumps({"format": _FORMAT, **asdict(self)}, indent=1)
            write_whole(folder / PLAN, written.encode())
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


def has_run(folder: Path) -> bool:
    """Tell whether a run was begun in a folder."""
    return (folder / PLAN).exists()
