"""What takes long to make from the project's files, kept between runs of the tests until one of them changes."""

from __future__ import annotations

import functools
import hashlib
import importlib.metadata
import os
import re
import shutil
import sys
import uuid
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
from support.extent import ALL

from tinkex._base.file_lock import lock_file

ROOT = Path(__file__).parents[2]
# What others make in the project's folder; two of the hidden files are the project's.
NOT_OURS = re.compile(
    r"\.(?!git(?:hub|ignore)$).*|__pycache__|build|dist|tmp|.*-output|.*\.egg-info"
)
MADE = "made"


def kept(cache: pytest.Cache, name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder that `make` filled, now or in a run before from the same files by the same Python.

    It never moves, as is needed by an environment. One process makes it, and others wait. In the long form it is
    made anew.
    """
    place = cache.mkdir(name)
    folder = place / (uuid.uuid4().hex if ALL else made_from())
    with (place / "lock").open("ab") as lock:
        assert lock_file(lock, wait=True)
        mark = folder / MADE
        if not mark.exists():
            shutil.rmtree(folder, ignore_errors=True)
            # Another run may still use the one that was used last.
            used = sorted(place.glob("*/"), key=lambda one: one.stat().st_mtime)
            for old in used[:-1]:
                shutil.rmtree(old)
            folder.mkdir()
            make(folder)
            mark.touch()
        os.utime(folder)
    return folder


@functools.cache
def made_from() -> str:
    """Return a digest of every file of the project, and of the Python and the packages that work on it."""
    digest = hashlib.sha256(f"{ROOT} {sys.executable} {sys.version}".encode())
    packages = (f"{one.name} {one.version}" for one in importlib.metadata.distributions())
    digest.update("\n".join(sorted(packages)).encode())
    for file in project_files(ROOT):
        content = hashlib.sha256(file.read_bytes()).hexdigest()
        digest.update(f"{file.relative_to(ROOT)} {content}\n".encode())
    return digest.hexdigest()[:32]


def not_ours(folder: object, names: Iterable[str]) -> set[str]:
    """Return the names in a folder of the project that are not the project's, as `shutil.copytree` asks for."""
    del folder
    return {name for name in names if NOT_OURS.fullmatch(name)}


def project_files(folder: Path) -> Iterator[Path]:
    """Yield the files of the project, in a steady order."""
    names = {path.name for path in folder.iterdir()}
    for path in sorted(folder / name for name in names - not_ours(folder, names)):
        if path.is_dir():
            yield from project_files(path)
        else:
            yield path
