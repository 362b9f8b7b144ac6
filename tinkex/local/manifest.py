"""The manifest of a checkpoint's folder, by which it can be found without the database.

The manifest holds the checkpoint's row, its run's row, and the size of every file. It is written
into the folder before the folder is moved into place, so a folder with a manifest was complete.
"""

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
from attrs import frozen

from tinkex._base.atomic_file import atomic_write
from tinkex._base.checkpoint_path import CheckpointPath
from tinkex.local.paths import check_name
from tinkex.local.problem import Problem

MANIFEST_NAME = "tinkex_checkpoint.json"
COMPLETE_MARKER = "checkpoint_complete"
_FORMAT = "tinkex local checkpoint"
_VERSION = 1
_COLUMNS: dict[str, type | tuple[type, ...]] = {
    "created_at": (int, float),
    "size_bytes": int,
    "public": int,
    "expires_at": (int, float, type(None)),
    "user_metadata": (str, type(None)),
}


@frozen
class Manifest:
    """A checkpoint as its own folder describes it.

    checkpoint: its row, without the folder's id. run: the row of its run. files: their sizes.
    replaces: the id of the folder that this checkpoint was saved over, if it was.
    """

    path: CheckpointPath
    checkpoint: dict[str, Any]
    run: dict[str, Any]
    files: dict[str, int]
    replaces: str | None


def write_manifest(
    folder: Path,
    checkpoint: Mapping[str, Any] | sqlite3.Row,
    run: sqlite3.Row,
    files: Mapping[str, int],
    replaces: str | None = None,
) -> None:
    """Write the manifest of the checkpoint in `folder` durably."""
    row = dict(checkpoint)
    row.pop("folder", None)
    content = {
        "format": _FORMAT,
        "version": _VERSION,
        "checkpoint": row,
        "run": dict(run),
        "files": dict(files),
        "replaces": replaces,
    }
    written = orjson.dumps(content, option=orjson.OPT_INDENT_2)
    atomic_write(folder / MANIFEST_NAME, written, durable=True)


def read_manifest(folder: Path) -> Manifest | None:
    """Return the manifest of a folder, or None if it has none that can be understood."""
    try:
        content = orjson.loads((folder / MANIFEST_NAME).read_bytes())
        if content["format"] != _FORMAT or content["version"] != _VERSION:
            return None
        row, run, replaces = content["checkpoint"], dict(content["run"]), content["replaces"]
        path = CheckpointPath(row["run_id"], row["kind"], row["name"])
        check_name(path.name)
        files = {str(name): int(size) for name, size in content["files"].items()}
    except (OSError, ValueError, LookupError, TypeError, AttributeError, Problem):
        return None
    fits = all(isinstance(row.get(name), kind) for name, kind in _COLUMNS.items())
    if not fits or run.get("run_id") != path.training_run_id:
        return None
    return Manifest(path, row, run, files, replaces)


def is_manifested(folder: Path) -> bool:
    """Return whether a folder has a manifest of a checkpoint."""
    return read_manifest(folder) is not None


def is_whole(folder: Path, manifest: Manifest) -> bool:
    """Return whether every file of a checkpoint exists with its size."""
    try:
        return all((folder / name).stat().st_size == size for name, size in manifest.files.items())
    except OSError:
        return False


def weight_files(folder: Path) -> list[Path]:
    """Return the files of a checkpoint that are given out, sorted by name."""
    return sorted(path for path in folder.iterdir() if path.name != MANIFEST_NAME)


def sizes_of(folder: Path) -> dict[str, int]:
    """Return the size of each file that is given out."""
    return {path.name: path.stat().st_size for path in weight_files(folder)}
