"""Agreement between the database and the folders of the checkpoints, made at each start.

The folders are the truth and the rows their index: a database that was lost, emptied or restored
from an older backup takes from them what it lacks.
"""

import logging
import sqlite3
from pathlib import Path

from tinkex._base.checkpoint_path import CheckpointPath
from tinkex.local.checkpoints import CheckpointTable, FolderChange, insert_checkpoint
from tinkex.local.database import insert_row
from tinkex.local.datadir import DataDir
from tinkex.local.manifest import Manifest, is_whole, read_manifest, sizes_of, write_manifest

logger = logging.getLogger("tinkex.local.reconcile")

_SHOWN = 5


def reconcile(checkpoints: CheckpointTable, data: DataDir) -> None:
    """Add rows for complete checkpoints without one, and move other files aside.

    A row whose folder is gone is removed. Where row and folder differ, the folder is right.
    """
    with checkpoints.change() as change:
        entries = {path.name: path for path in data.checkpoint_entries()}
        known = _check_rows(change.connection, entries)
        _take_in(change, data, {name: path for name, path in entries.items() if name not in known})
        rows = change.connection.execute("SELECT folder FROM checkpoints")
        archives = {f"{row['folder']}.tar" for row in rows}
        for archive in data.archive_entries():
            if archive.name not in archives:
                data.set_aside(archive)


def _check_rows(connection: sqlite3.Connection, entries: dict[str, Path]) -> set[str]:
    """Compare every row with its folder; return the ids of the folders that have a row."""
    known, lost = set(), []
    for row in connection.execute("SELECT * FROM checkpoints").fetchall():
        path, folder = _path(row), entries.get(row["folder"])
        if folder is None:
            connection.execute("DELETE FROM checkpoints WHERE folder = ?", (row["folder"],))
            lost.append(path)
            continue
        known.add(row["folder"])
        manifest = read_manifest(folder)
        if manifest is None:
            _describe(connection, folder, row)
        elif manifest.path == path:
            insert_row(connection, "runs", manifest.run, "IGNORE")
            connection.execute(
                "UPDATE checkpoints SET public = ?, expires_at = ? WHERE folder = ?",
                (manifest.checkpoint["public"], manifest.checkpoint["expires_at"], row["folder"]),
            )
    if lost:
        logger.warning(
            "%d checkpoints in the database have no folder any more: %s", len(lost), _some(lost)
        )
    return known


def _describe(connection: sqlite3.Connection, folder: Path, row: sqlite3.Row) -> None:
    """Write the manifest of a checkpoint that an earlier build saved without one."""
    run = connection.execute("SELECT * FROM runs WHERE run_id = ?", (row["run_id"],)).fetchone()
    if run is None:
        return
    try:
        write_manifest(folder, row, run, sizes_of(folder))
    except OSError as error:
        logger.warning("%s cannot be described for a later start: %s", folder, error)


def _take_in(change: FolderChange, data: DataDir, unknown: dict[str, Path]) -> None:
    """Enter the whole checkpoints among folders without a row; set the others aside."""
    described: list[tuple[Manifest, Path]] = []
    for folder in unknown.values():
        manifest = read_manifest(folder)
        if manifest is None or not is_whole(folder, manifest):
            data.set_aside(folder)
        else:
            described.append((manifest, folder))
    found = []
    # The newest first: it is the one that its name stands for.
    for manifest, folder in sorted(described, key=_age):
        holder = _holder(change.connection, manifest.path)
        if holder is not None and holder == manifest.replaces:
            # Killed after the new folder was in place and before the old one was not.
            change.retire(holder)
            holder = None
        if holder is None:
            insert_row(change.connection, "runs", manifest.run, "IGNORE")
            insert_checkpoint(change.connection, folder.name, manifest.checkpoint)
            found.append(manifest.path)
        elif _replaces(data, holder) == folder.name:
            change.retire(folder.name)
        else:
            data.set_aside(folder)
    if found:
        logger.warning(
            "found %d checkpoints that the database did not know: %s", len(found), _some(found)
        )


def _age(described: tuple[Manifest, Path]) -> float:
    return -float(described[0].checkpoint["created_at"])


def _holder(connection: sqlite3.Connection, path: CheckpointPath) -> str | None:
    """Return the id of the folder that the database has at a path."""
    row = connection.execute(
        "SELECT folder FROM checkpoints WHERE run_id = ? AND kind = ? AND name = ?",
        (path.training_run_id, path.kind, path.name),
    ).fetchone()
    return None if row is None else str(row["folder"])


def _replaces(data: DataDir, folder_id: str) -> str | None:
    manifest = read_manifest(data.checkpoints / folder_id)
    return None if manifest is None else manifest.replaces


def _path(row: sqlite3.Row) -> CheckpointPath:
    return CheckpointPath(row["run_id"], row["kind"], row["name"])


def _some(paths: list[CheckpointPath]) -> str:
    """Return the first of many paths as text."""
    more = f" and {len(paths) - _SHOWN} more" if len(paths) > _SHOWN else ""
    return ", ".join(map(str, paths[:_SHOWN])) + more
