"""Atomic download of checkpoints: archive, verification, extraction, rename."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from attrs import evolve, frozen

from tinkex._base.file_names import portable_name
from tinkex._base.secret import Secret
from tinkex._core.retry import ARCHIVE_PATIENCE
from tinkex.checkpoints.export import exported, offers_exports
from tinkex.checkpoints.extract import Limits, iter_files, safe_paths
from tinkex.checkpoints.extract import extract as unpack
from tinkex.checkpoints.fetch import Progress, Source, fetch
from tinkex.checkpoints.partial import Partial
from tinkex.checkpoints.server import CheckpointServer
from tinkex.checkpoints.staging import abandon, discard, staging
from tinkex.errors import (
    ApiError,
    CheckpointError,
    GoneError,
    NotFoundError,
    UnsafeArchiveError,
)
from tinkex.types import CheckpointPath

T = TypeVar("T")

# Marks a folder that a download created, which `force` may replace.
MARKER = ".tinkex-download.json"
ARCHIVE = "archive.tar"
# Seconds per request for an archive; in between, progress is reported.
_SLICE = 30.0
_BEING_MADE = frozenset({409, 425, 503})


@frozen
class Download:
    """A downloaded checkpoint.

    Attributes:
        path: The checkpoint's ``tinker://`` path.
        folder: The folder with the files.
        files: The files.
        size_bytes: Their total size.
    """

    path: str
    folder: Path
    files: tuple[Path, ...]
    size_bytes: int


def download(
    rest: CheckpointServer,
    path: str,
    output_dir: str | os.PathLike[str] | None = None,
    force: bool = False,
    progress: Progress | None = None,
    extract: bool = True,
    patience: float = ARCHIVE_PATIENCE,
    limits: Limits | None = None,
) -> Download:
    """Download a checkpoint into a new folder.

    >>> download(rest, "tinker://run-1:train:0/sampler_weights/final", "checkpoints").folder
    PosixPath('checkpoints/run-1_train_0_sampler_weights_final')

    The archive is streamed to a hidden folder beside the target and verified (length, and checksum if
    the host announces one), extracted there, and renamed at the end, so the download is atomic. An
    interrupted download is kept, and the next call resumes it. If the server has no archives, the files
    of an export (`RestClient.get_external_weights_urls`) are downloaded instead; a training checkpoint is
    exported for this, in a session of its own.

    Args:
        rest: A `RestClient` of the server.
        path: ``tinker://<run>/<kind>/<name>``.
        output_dir: The parent folder; the current directory by default.
        force: Whether to replace a folder that an earlier download created. Other folders are never
            replaced.
        progress: Called with (bytes so far, total bytes or None); also from time to time while the
            server creates the archive.
        extract: Whether to extract the archive; otherwise the folder has ``archive.tar``.
        patience: Seconds to wait for the server to create the archive.
        limits: Limits of the archive's contents; 64 GiB in 10,000 files by default.

    Raises:
        ValidationError: The path is not that of a checkpoint.
        CheckpointError: The target exists, was not created by a download, or cannot be written, or
            another process is downloading it.
        DownloadIncompleteError: The archive ended early in all attempts.
        TLSError: The certificate of the archive's host, or of its proxy, cannot be verified.
        UnsafeArchiveError: The archive has members that no checkpoint has.
        ApiError: The server refuses access to the archive, or did not create it in time.

    Exceptions of `progress` propagate and end the download; the next call resumes it.
    """
    parsed = CheckpointPath.parse(path)
    parent = Path(output_dir) if output_dir is not None else Path.cwd()
    name = portable_name(str(parsed).removeprefix("tinker://"))
    target = parent / name
    _check_target(target, force=force)
    guarded = None if progress is None else _guarded(progress)
    deadline = rest.clock.now() + patience
    job = _Job(rest, path, guarded, extract, deadline, limits or Limits())
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
        # Raised here rather than where it was caught, so that it keeps its own cause and context.
        raise failed
    files = tuple(file for file in iter_files(target) if file.name != MARKER)
    return Download(path, target, files, sum(file.stat().st_size for file in files))


class _CallbackFailed(BaseException):
    """Carries an exception of the caller's callback past our error handlers."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error


def _guarded(progress: Progress) -> Progress:
    """Return a callback whose exceptions are not mistaken for disk or network errors."""

    def guarded(done: int, total: int | None) -> None:
        try:
            progress(done, total)
        except Exception as error:  # noqa: BLE001 - raised again at the end of the download
            raise _CallbackFailed(error) from None

    return guarded


@frozen
class _Job:
    """The arguments of one download."""

    rest: CheckpointServer
    path: str
    progress: Progress | None
    extract: bool
    deadline: float
    limits: Limits

    def source(self, label: str, sign: Callable[[], Secret], most_bytes: int) -> Source:
        return Source(label, sign, self.rest.config, self.rest.clock, most_bytes)

    def when_made(self, ask: Callable[[float], T]) -> T:
        """Ask until the server has created the object; `ask` takes the seconds it may take."""
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
    """Fill the staging folder, and rename its contents to the target."""
    # Left by a crash: not trusted, so not resumed.
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
        # Another process may have created the target during the download.
        _check_target(target, force=force)
        _replace(files, target, scratch / "replaced")
    finally:
        discard(folder)


def _bring(job: _Job, folder: Path, files: Path) -> None:
    """Download and extract the archive, or download the files of an export."""
    signs = _archive_signs(job)
    try:
        first = next(signs)
    except (NotFoundError, GoneError) as refused:
        _bring_without_archive(job, folder, files, refused)
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
        partial.forget()  # complete but wrong: nothing to resume
        raise


def _bring_without_archive(job: _Job, folder: Path, files: Path, refused: ApiError) -> None:
    """Fetch the files of an export: those of the checkpoint, or of one that is made for this."""
    urls = _export_urls(job)
    if urls is not None:
        _bring_export(job, folder, files, urls)
        return
    rest = job.rest
    if CheckpointPath.parse(job.path).kind != "weights" or not offers_exports(rest.transport):
        raise refused.with_traceback(None) from None
    info = rest.get_weights_info_by_tinker_path(job.path)
    with exported(rest.transport, job.path, info, rest.delete_checkpoint) as path:
        export = evolve(job, path=path)
        _bring_export(export, folder, files, _asked_for_urls(export))


def _archive_signs(job: _Job) -> Iterator[Secret]:
    """Yield the archive's URL with a new signature each time: signatures may expire midway."""
    while True:
        yield job.when_made(
            lambda left: Secret(job.rest.get_checkpoint_archive_url(job.path, patience=left).url)
        )


def _export_urls(job: _Job) -> dict[str, Secret] | None:
    """Return the URLs of an export's files; None if the server has no exports."""
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
    """Return a callback that adds the bytes of the earlier files."""
    progress = job.progress
    return progress and (lambda have, _: progress(before + have, None))


def _signs(job: _Job, name: str, first: Secret) -> Iterator[Secret]:
    """Yield the URL of an export's file, with new signatures each time: they may expire midway."""
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
        raise CheckpointError(f"{target} exists already; pass force=True to replace it")
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
