"""A run's folder, or `latest`, wherever a run or its weights are meant."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from tinkex.recipes.folder import Weights

LATEST = "latest"


class RunFolder(click.Path):
    """The folder of a run; `latest` is the one that was begun last."""

    def __init__(self) -> None:
        super().__init__(exists=True, file_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the folder."""
        if value == LATEST and not Path(LATEST).exists():
            from tinkex.errors import CheckpointError
            from tinkex.recipes.folder import latest_run

            try:
                return latest_run()
            except CheckpointError as error:
                self.fail(str(error), param, ctx)
        return super().convert(value, param, ctx)


class RunOrPath(click.Path):
    """A checkpoint's path, or a run's folder (or `latest`), whose newest checkpoint is taken.

    FOLDER@best is the one with the best validation.

    Args:
        kind: "sampler" for weights to sample from, "training" for a checkpoint to train on from,
            "any" for either.
        others: Whether other names are taken as well: of base models, or of folders with weights.
    """

    name = "text"

    def __init__(self, kind: "Weights" = "sampler", *, others: bool = False) -> None:
        super().__init__()
        self._kind: Weights = kind
        self._others = others

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        # A path and a name, the common cases, load nothing.
        place = value.partition("@")[0]
        is_local = place == LATEST or Path(place).is_dir() or Path(value).is_dir()
        if value.startswith("tinker://") or not is_local:
            return value
        from tinkex.errors import CheckpointError
        from tinkex.recipes.folder import checkpoint_path

        try:
            found = checkpoint_path(value, self._kind)
        except CheckpointError as error:
            self.fail(str(error), param, ctx)
        if found == value and not self._others and Path(value).is_dir():
            self.fail(f"there is no run in {value}", param, ctx)
        return found


class RunId(RunOrPath):
    """The id of a training run; or a path of one of its checkpoints, its folder, or `latest`."""

    def __init__(self) -> None:
        super().__init__("any", others=True)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the id."""
        found = super().convert(value, param, ctx)
        if not found.startswith("tinker://"):
            return found
        from tinkex.types import CheckpointPath

        return CheckpointPath.parse(found).training_run_id
