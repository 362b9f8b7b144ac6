"""Download a checkpoint: archive, check, unpack, and only then show it under its name."""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from attrs import frozen

from tinkex.checkpoints.extract import extract, iter_files
from tinkex.checkpoints.fetch import Progress, fetch
from tinkex.errors import CheckpointError
from tinkex.rest import RestClient
from tinkex.types import CheckpointPath

# Tells a folder that an earlier download made from one that is somebody's work.
MARKER = ".tinkex-download.json"


@frozen
class Download:
    """Say where a checkpoint was put.

    Attributes:
        path: The checkpoint's ``tinker://`` path.
        folder: The folder with its files.
        files: The files in it.
        size_bytes: What they take together.
    """

    path: str
    folder: Path
    files: tuple[Path, ...]
    size_bytes: int


def download(
    rest: RestClient,
    path: str,
    output_dir: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> Download:
    """Download a checkpoint into a folder of its own.

    >>> download(rest, "tinker://run-1:train:0/sampler_weights/final", "checkpoints").folder
    PosixPath('checkpoints/run-1:train:0_sampler_weights_final')

    The archive is streamed to disk, its length is checked, it is unpacked into a hidden folder
    beside the target, and that is renamed at the very end: under its name there is either the whole
    checkpoint or nothing new.

    Args:
        rest: The client that knows the server.
        path: ``tinker://<run>/<kind>/<name>``.
        output_dir: Where the folder is made; the current directory if not given.
        force: Whether a folder that an earlier download made is replaced. A folder that was made
            otherwise is never touched.
        progress: Called with (bytes so far, bytes in all or None).

    Raises:
        ValidationError: The path is no checkpoint's.
        CheckpointError: The target exists, or is not ours to replace.
        DownloadIncompleteError: The archive ended early, as often as it was tried.
        UnsafeArchiveError: The archive holds what no checkpoint has.
        ApiError: The server refuses the archive.
    """
    parsed = CheckpointPath.parse(path)
    parent = Path(output_dir) if output_dir is not None else Path.cwd()
    name = str(parsed).removeprefix("tinker://").replace("/", "_")
    target = parent / name
    _check_target(target, force=force)
    parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name[:80]}.", dir=parent) as scratch:
        archive = Path(scratch) / "archive.tar"
        fetch(rest, path, archive, progress)
        unpacked = Path(scratch) / "files"
        unpacked.mkdir(mode=0o700)
        extract(archive, unpacked)
        archive.unlink()
        unpacked.joinpath(MARKER).write_text(json.dumps({"path": path}), encoding="utf-8")
        # Somebody may have made the target while the archive came.
        _check_target(target, force=force)
        _replace(unpacked, target, Path(scratch) / "replaced")
    files = tuple(file for file in iter_files(target) if file.name != MARKER)
    return Download(path, target, files, sum(file.stat().st_size for file in files))


def _check_target(target: Path, *, force: bool) -> None:
    if not target.exists() and not target.is_symlink():
        return
    if not force:
        raise CheckpointError(f"{target} exists already; pass force=True to download it anew")
    if target.is_symlink() or not target.joinpath(MARKER).is_file():
        raise CheckpointError(
            f"{target} was not made by a download, so force does not replace it; move it away first"
        )


def _replace(unpacked: Path, target: Path, old: Path) -> None:
    if target.exists():
        target.rename(old)
    try:
        unpacked.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
