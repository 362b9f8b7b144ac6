"""A run's folder, or `latest`, wherever a run or its weights are meant."""

from pathlib import Path
from typing import Any

import click

RUNS = Path("runs")
LATEST = "latest"


class RunFolder(click.Path):
    """The folder of a run; `latest` is the one that was begun last."""

    def __init__(self) -> None:
        super().__init__(exists=True, file_okay=False, path_type=Path)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the folder."""
        if value == LATEST and not Path(LATEST).exists():
            from tinkex.recipes.folder import latest_run

            found = latest_run(RUNS)
            if found is None:
                self.fail(f"there is no run in {RUNS}", param, ctx)
            return found
        return super().convert(value, param, ctx)


class RunOrPath(click.Path):
    """A checkpoint's path, or a run's folder (or `latest`), whose newest checkpoint is taken.

    FOLDER@best is the one with the best validation.

    Args:
        kind: "sampler" for weights to sample from, "training" for those to train on from.
        names: Whether the name of a base model is taken as well.
    """

    name = "text"

    def __init__(self, kind: str = "sampler", *, names: bool = False) -> None:
        super().__init__()
        self._kind = kind
        self._names = names

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Return the path."""
        folder, _, which = str(value).partition("@")
        is_folder = folder == LATEST or (Path(folder).is_dir() and not value.startswith("tinker:"))
        if not is_folder or which not in ("", "best"):
            return value
        from tinkex.errors import CheckpointError
        from tinkex.recipes.folder import checkpoint_of, has_run

        found = RunFolder().convert(folder, param, ctx)
        if self._names and not has_run(found):
            # A folder that happens to have the name of a model.
            return value
        try:
            return checkpoint_of(found, self._kind, best=which == "best")
        except CheckpointError as error:
            self.fail(str(error), param, ctx)
