"""Files that are there whole or not at all, whoever else writes and whatever breaks."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from tinkex._base.atomic_file import PRIVATE, atomic_write


@pytest.mark.parametrize("durable", [False, True])
def test_what_was_there_is_replaced_and_nothing_else_is_left(tmp_path: Path, durable: bool) -> None:
    """The draft is gone, and so is the old content."""
    file = tmp_path / "a"
    file.write_bytes(b"old and longer")
    atomic_write(file, b"new", durable=durable)
    assert file.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [file]


def test_a_write_that_fails_leaves_what_was_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even when the disk fills up at the last moment."""
    file = tmp_path / "a"
    file.write_bytes(b"old")

    def full(_: int) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="disk full"):
        atomic_write(file, b"new", durable=True)
    assert file.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [file]


@pytest.mark.skipif(os.name != "posix", reason="modes and links are those of POSIX")
def test_a_private_file_is_so_from_its_first_byte_and_no_link_is_followed(tmp_path: Path) -> None:
    """Whatever the umask; what a planted link points to stays as it was."""
    other, file = tmp_path / "other", tmp_path / "a"
    other.write_bytes(b"mine")
    file.symlink_to(other)
    before = os.umask(0)
    try:
        atomic_write(file, b"secret", mode=PRIVATE)
    finally:
        os.umask(before)
    assert stat.S_IMODE(file.lstat().st_mode) == 0o600
    assert not file.is_symlink()
    assert other.read_bytes() == b"mine"


def test_a_reader_never_sees_half_of_it(tmp_path: Path) -> None:
    """Several threads write at once, and each look finds the whole of one of them."""
    file = tmp_path / "a"
    contents = [bytes([number]) * 100_000 for number in range(4)]
    atomic_write(file, contents[0])
    writers = [
        threading.Thread(target=lambda one=one: [atomic_write(file, one) for _ in range(30)])
        for one in contents
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        assert file.read_bytes() in contents
    assert list(tmp_path.iterdir()) == [file]
