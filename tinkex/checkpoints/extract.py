"""Safe extraction of a checkpoint's archive."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import tarfile
import unicodedata
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from attrs import define, field, frozen

from tinkex._base.file_names import RESERVED
from tinkex.errors import CheckpointError, DownloadIncompleteError, UnsafeArchiveError

_COPY_BYTES = 1024 * 1024
# Larger headers are an attack on memory; real ones have a few kilobytes.
_READ_BYTES = 16 * 1024 * 1024
_LONGEST_NAME = 255
_LONGEST_PATH = 1024
_GZIP_MAGIC = b"\x1f\x8b"
# Windows reserves these names for devices, with any extension.
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul", *(f"{port}{i}" for port in ("com", "lpt") for i in range(10))]
)


# Overhead of headers and padding per entry.
ENTRY_BYTES = 2048


@frozen(kw_only=True)
class Limits:
    """Limits on the size of an archive and of its contents.

    Attributes:
        entries: Most files and directories.
        total_bytes: Most total bytes of all files.
        ratio: Most extracted bytes per byte of the archive.
    """

    entries: int = 10_000
    total_bytes: int = 64 * 1024**3
    ratio: float = 100.0

    @property
    def archive_bytes(self) -> int:
        """Return the maximum size of an uncompressed archive in bytes."""
        return self.total_bytes + ENTRY_BYTES * self.entries


def extract(archive: Path, folder: Path, limits: Limits | None = None) -> list[Path]:
    """Extract a tar archive, plain or gzipped, into an empty folder.

    Only regular files and directories below the folder are accepted: a checkpoint has no links,
    devices, absolute paths, or duplicate names. The extraction is atomic: after an error the folder is
    empty again.

    Args:
        archive: The tar file.
        folder: A new folder that no other process writes to.
        limits: Limits on the contents.

    Returns:
        The files, in the archive's order.

    Raises:
        UnsafeArchiveError: A member has another type or leaves the folder, or a limit is
            exceeded.
        DownloadIncompleteError: The archive ends early, or is not an archive.
        CheckpointError: The folder is not empty.
    """
    if any(folder.iterdir()):
        raise CheckpointError(f"{folder} is not empty, so nothing is extracted into it")
    try:
        return _extract(archive, folder, limits or Limits())
    except BaseException:
        for made in folder.iterdir():
            shutil.rmtree(made) if made.is_dir() else made.unlink()
        raise


def _extract(archive: Path, folder: Path, limits: Limits) -> list[Path]:
    try:
        with (
            _opened(archive, limits) as stream,
            tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r:") as tar,
        ):
            files = list(_unpacked(tar, folder, limits.entries, _allowed(archive, limits)))
            _check_end(stream)
            return files
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile, ValueError) as error:
        raise DownloadIncompleteError(
            f"the archive {archive.name} cannot be read ({error}); download it again"
        ) from error


def _unpacked(
    tar: tarfile.TarFile, folder: Path, most_entries: int, most_bytes: int
) -> Iterator[Path]:
    names = _Names()
    written = 0
    for number, member in enumerate(tar):
        if number >= most_entries:
            raise UnsafeArchiveError(f"the archive has more than {most_entries} entries")
        written += max(member.size, 0)
        if written > most_bytes:
            raise _too_large(most_bytes)
        target = folder.joinpath(*names.take(member))
        if member.isdir():
            target.mkdir(parents=True, exist_ok=True)
            continue
        source = tar.extractfile(member)
        if source is None:
            raise UnsafeArchiveError(f"the archive's member {member.name!r} has no content")
        target.parent.mkdir(parents=True, exist_ok=True)
        _copy(source, target, member)
        yield target


def _check_end(stream: _Bounded) -> None:
    """Refuse an archive without an end marker.

    tarfile treats anything that is not a header as the end, including a cut between two members.
    """
    if stream.last != bytes(tarfile.BLOCKSIZE):
        raise DownloadIncompleteError("the archive has no end; download it again")
    # Reading to the end makes gzip verify its checksum.
    while stream.read(_COPY_BYTES):
        pass


@contextlib.contextmanager
def _opened(archive: Path, limits: Limits) -> Iterator[_Bounded]:
    # Headers and padding add to the size of the files.
    allowed = _allowed(archive, limits) + ENTRY_BYTES * limits.entries
    with archive.open("rb") as file:
        packed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
        file.seek(0)
        if not packed:
            yield _Bounded(file, allowed)
            return
        with gzip.GzipFile(fileobj=file) as unpacked:
            yield _Bounded(unpacked, allowed)


def _allowed(archive: Path, limits: Limits) -> int:
    return min(limits.total_bytes, int(limits.ratio * max(archive.stat().st_size, 1024)))


def _too_large(allowed: int) -> UnsafeArchiveError:
    return UnsafeArchiveError(
        f"the archive extracts to more than {allowed} bytes, which its own size does not explain"
    )


@define
class _Bounded:
    """A stream with a limit on its length and on the size of a read.

    The limit applies to the position in the decompressed archive, which no header can misstate.
    """

    _stream: IO[bytes] | gzip.GzipFile
    _allowed: int
    _position: int = field(init=False, default=0)
    last: bytes = field(init=False, default=b"")

    def read(self, size: int = -1) -> bytes:
        if size < 0 or size > _READ_BYTES:
            raise UnsafeArchiveError(f"the archive has a header of {size} bytes")
        data = self._stream.read(size)
        self._move(self._position + len(data))
        self.last = data
        return data

    def seek(self, position: int, whence: int = 0) -> int:
        if whence != 0:
            raise ValueError("only absolute positions are supported")
        # Skipping a member still decompresses its content.
        if position > self._position:
            self._move(position)
        self._position = self._stream.seek(position)
        return self._position

    def tell(self) -> int:
        return self._position

    def _move(self, position: int) -> None:
        if position > self._allowed:
            raise _too_large(self._allowed)
        self._position = position


@define
class _Names:
    """Validates members' names, individually and for duplicates."""

    _files: set[str] = field(init=False, factory=set)
    _folders: set[str] = field(init=False, factory=set)

    def take(self, member: tarfile.TarInfo) -> tuple[str, ...]:
        """Return the parts of a member's name.

        Raises:
            UnsafeArchiveError: The name is not allowed, or a duplicate.
        """
        name = member.name
        if not (member.isreg() or member.isdir()) or member.issparse() or member.size < 0:
            raise UnsafeArchiveError(f"the archive's member {name!r} is not a regular file")
        parts = PurePosixPath(name).parts
        if len(name.encode("utf-8", "replace")) > _LONGEST_PATH:
            raise UnsafeArchiveError(f"the archive's member {name!r:.200} is not allowed")
        if any(_is_bad(part) for part in parts) or (not parts and member.isreg()):
            raise UnsafeArchiveError(f"the archive's member {name!r:.200} is not allowed")
        # Names that differ in case or Unicode normalization are the same file on some systems.
        keys = [unicodedata.normalize("NFC", part).casefold() for part in parts]
        paths = ["/".join(keys[: i + 1]) for i in range(len(keys))]
        parents = paths if member.isdir() else paths[:-1]
        if not self._files.isdisjoint(parents):
            raise UnsafeArchiveError(f"the archive has {name!r} twice")
        if member.isreg() and (paths[-1] in self._files or paths[-1] in self._folders):
            raise UnsafeArchiveError(f"the archive has {name!r} twice")
        self._folders.update(parents)
        if member.isreg():
            self._files.add(paths[-1])
        return parts


def safe_paths(names: Iterable[str]) -> dict[str, PurePosixPath]:
    """Return the relative path of each named file below a folder.

    Raises:
        UnsafeArchiveError: A name leaves the folder, is a duplicate, or is invalid on some system.
    """
    taken = _Names()
    return {name: PurePosixPath(*taken.take(tarfile.TarInfo(name))) for name in names}


def _is_bad(part: str) -> bool:
    return (
        part == ".."
        or not part.isprintable()
        # An absolute name begins with the part "/".
        or not RESERVED.isdisjoint(part)
        or part != part.rstrip(". ")
        or part.partition(".")[0].lower() in _DEVICES
        or len(part.encode("utf-8", "replace")) > _LONGEST_NAME
    )


def _copy(source: IO[bytes], target: Path, member: tarfile.TarInfo) -> None:
    with target.open("xb") as file:
        shutil.copyfileobj(source, file, _COPY_BYTES)
        if file.tell() != member.size:
            raise DownloadIncompleteError(
                f"the archive ends inside {member.name!r}; download it again"
            )


def iter_files(folder: Path) -> Iterator[Path]:
    """Yield the regular files below a folder, sorted by name."""
    yield from sorted(path for path in folder.rglob("*") if path.is_file())
