"""Download a checkpoint: archive, check, unpack, and only then show it under its name."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from attrs import frozen

from tinkex._base.secret import Secret
from tinkex._core.retry import ARCHIVE_PATIENCE
from tinkex.checkpoints.extract import Limits, iter_files, safe_paths
from tinkex.checkpoints.extract import extract as unpack
from tinkex.checkpoints.fetch import Progress, Source, fetch
from tinkex.checkpoints.partial import Partial
from tinkex.checkpoints.staging import abandon, discard, staging
from tinkex.errors import (
    ApiError,
    CheckpointError,
    GoneError,
    NotFoundError,
    UnsafeArchiveError,
)
from tinkex.types import CheckpointPath

if TYPE_CHECKING:
    from tinkex.rest import RestClient

T = TypeVar("T")

# Tells a folder that an earlier download made from one that is somebody's work.
MARKER = ".tinkex-download.json"
ARCHIVE = "archive.tar"
# How long the server is asked in one go; between, progress is told that it is still waiting.
_SLICE = 30.0
_BEING_MADE = frozenset({409, 425, 503})


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
    extract: bool = True,
    patience: float = ARCHIVE_PATIENCE,
    limits: Limits | None = None,
) -> Download:
    """Download a checkpoint into a folder of its own.

    >>> download(rest, "tinker://run-1:train:0/sampler_weights/final", "checkpoints").folder
    PosixPath('checkpoints/run-1:train:0_sampler_weights_final')

    The archive is streamed to a hidden folder beside the target, length and checksum (if its host
    announces one) are checked, it is unpacked there, and that is renamed at the very end: under its
    name there is either the whole checkpoint or nothing new. What had come of a download that was
    interrupted is kept, and the next call goes on from there. A server without archives is asked
    for the files of an export (`RestClient.get_external_weights_urls`) instead.

    Args:
        rest: The client that knows the server.
        path: ``tinker://<run>/<kind>/<name>``.
        output_dir: Where the folder is made; the current directory if not given.
        force: Whether a folder that an earlier download made is replaced. A folder that was made
            otherwise is never touched.
        progress: Called with (bytes so far, bytes in all or None); also now and then while the
            server makes the archive.
        extract: Whether the archive is unpacked; if not, the folder holds ``archive.tar``.
        patience: Seconds to wait for an archive that is being made.
        limits: Bounds of what an archive may hold; 64 GiB in 10,000 files if not given.

    Raises:
        ValidationError: The path is no checkpoint's.
        CheckpointError: The target exists, or is not ours to replace, or cannot be written, or
            another process is downloading it.
        DownloadIncompleteError: The archive ended early, as often as it was tried.
        UnsafeArchiveError: The archive holds what no checkpoint has.
        ApiError: The server refuses the archive, or did not make it in time.

    What `progress` raises comes out as it is, and ends the download; the next call goes on.
    """
    parsed = CheckpointPath.parse(path)
    parent = Path(output_dir) if output_dir is not None else Path.cwd()
    name = str(parsed).removeprefix("tinker://").replace("/", "_")
    target = parent / name
    _check_target(target, force=force)
    heard = None if progress is None else _heard(progress)
    deadline = rest.clock.now() + patience
    job = _Job(rest, path, heard, extract, deadline, limits or Limits())
    failed: Exception | None = None
    try:
        parent.mkdir(parents=True, exist_ok=True)
        with staging(parent, name) as folder:
            _into(job, folder, target, force=force)
    except OSError as error:
        raise CheckpointError(
            f"{target} cannot be written ({error.strerror or type(error).__name__}); free some "
            "space, or choose another output_dir"
        ) from error
    except _CallbackFailed as error:
        failed = error.error
    if failed is not None:
        # Here, and not where it was caught, it keeps its own cause and context.
        raise failed
    files = tuple(file for file in iter_files(target) if file.name != MARKER)
    return Download(path, target, files, sum(file.stat().st_size for file in files))


class _CallbackFailed(BaseException):
    """Carry the error of the caller's callback past all that handles errors of our own."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def _heard(progress: Progress) -> Progress:
    """Return a callback whose errors are not taken for those of the disk or the network."""

    def heard(done: int, total: int | None) -> None:
        try:
            progress(done, total)
        except Exception as error:  # noqa: BLE001 - raised again where the download ends
            raise _CallbackFailed(error) from None

    return heard


@frozen
class _Job:
    """Hold what one download was asked for."""

    rest: RestClient
    path: str
    progress: Progress | None
    extract: bool
    deadline: float
    limits: Limits

    def source(self, label: str, sign: Callable[[], Secret], most_bytes: int) -> Source:
        return Source(label, sign, self.rest.config, self.rest.clock, most_bytes)

    def when_made(self, ask: Callable[[float], T]) -> T:
        """Ask until the server has made what is asked for; `ask` gets the seconds it may take."""
        clock = self.rest.clock
        while True:
            left = self.deadline - clock.now()
            try:
                return ask(max(min(_SLICE, left), 0.0))
            except ApiError as error:
                left = self.deadline - clock.now()
                wait = max(error.retry_after or 0.0, 1.0)
                if error.status_code not in _BEING_MADE or wait > left:
                    raise
            if self.progress is not None:
                self.progress(0, None)
            clock.sleep(wait)


def _into(job: _Job, folder: Path, target: Path, *, force: bool) -> None:
    """Fill the staging folder, and give what is in it its name."""
    # Left by a crash: never trusted, never gone on with.
    for left in folder.glob("new-*"):
        shutil.rmtree(left)
    scratch = Path(tempfile.mkdtemp(prefix="new-", dir=folder))
    files = scratch / "files"
    files.mkdir(mode=0o700)
    try:
        _bring(job, folder, files)
    except BaseException:
        shutil.rmtree(scratch)
        abandon(folder)
        raise
    try:
        files.joinpath(MARKER).write_text(json.dumps({"path": job.path}), encoding="utf-8")
        # Somebody may have made the target while the archive came.
        _check_target(target, force=force)
        _replace(files, target, scratch / "replaced")
    finally:
        discard(folder)


def _bring(job: _Job, folder: Path, files: Path) -> None:
    """Fetch the archive and unpack it, or the files of an export."""
    signs = _archive_signs(job)
    try:
        first = next(signs)
    except (NotFoundError, GoneError) as refused:
        urls = _export_urls(job)
        if urls is None:
            raise refused from None
        _bring_export(job, folder, files, urls)
        return
    later = itertools.chain([first], signs)
    partial = Partial(folder / f"{ARCHIVE}.partial", expands=job.extract)
    fetch(job.source(job.path, later.__next__, job.limits.archive_bytes), partial, job.progress)
    if not job.extract:
        partial.finish(files / ARCHIVE)
        return
    try:
        unpack(partial.file, files, job.limits)
    except CheckpointError:
        partial.forget()  # whole and wrong: nothing to go on with
        raise


def _archive_signs(job: _Job) -> Iterator[Secret]:
    """Yield the archive's URL, signed anew each time: a signature may expire midway."""
    while True:
        yield job.when_made(
            lambda left: Secret(job.rest.get_checkpoint_archive_url(job.path, patience=left).url)
        )


def _export_urls(job: _Job) -> dict[str, Secret] | None:
    """Return the URLs of an export's files; None if the server has none."""
    try:
        return _asked_for_urls(job)
    except ApiError as error:
        if error.status_code in _BEING_MADE:
            raise
        return None


def _asked_for_urls(job: _Job) -> dict[str, Secret]:
    found = job.when_made(lambda left: job.rest.get_external_weights_urls(job.path, patience=left))
    return {name: Secret(url) for name, url in found.urls.items()}


def _bring_export(job: _Job, folder: Path, files: Path, urls: dict[str, Secret]) -> None:
    if len(urls) > job.limits.entries:
        raise UnsafeArchiveError(f"the export has more than {job.limits.entries} files")
    before, parts = 0, []
    for name, below in safe_paths(sorted(urls)).items():
        number = hashlib.sha256(name.encode()).hexdigest()[:16]
        partial = Partial(folder / f"{number}.partial")
        signs = _signs(job, name, urls[name])
        left = job.limits.total_bytes - before
        source = job.source(f"{name} of {job.path}", signs.__next__, left)
        fetch(source, partial, _behind(job, before))
        parts.append((partial, files / below))
        before += partial.file.stat().st_size
    for partial, target in parts:
        target.parent.mkdir(parents=True, exist_ok=True)
        partial.finish(target)


def _behind(job: _Job, before: int) -> Progress | None:
    """Return a callback that counts a file's bytes on top of those of the files before it."""
    progress = job.progress
    return progress and (lambda have, _: progress(before + have, None))


def _signs(job: _Job, name: str, first: Secret) -> Iterator[Secret]:
    """Yield the URL of an export's file, and then new ones: a signature may expire midway."""
    yield first
    while True:
        urls = _asked_for_urls(job)
        if name not in urls:
            raise CheckpointError(f"the server no longer lists {name} of {job.path}")
        yield urls[name]


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
