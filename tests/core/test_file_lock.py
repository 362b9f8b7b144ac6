"""Locks on files, between processes."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tinkex._base.file_lock import is_at, lock_file

HOLDER = """
import sys
from tinkex._base.file_lock import lock_file
with open(sys.argv[1], "ab") as file:
    print(lock_file(file), flush=True)
    sys.stdin.read()
"""


def test_a_lock_ends_with_the_process_that_holds_it(tmp_path: Path) -> None:
    """Another process cannot have it meanwhile; one that waits has it afterwards."""
    path = tmp_path / "lock"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with (
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder,
        path.open("ab") as file,
    ):
        assert holder.stdout is not None
        assert holder.stdout.readline() == b"True\n"
        assert not lock_file(file)
        holder.kill()
        assert lock_file(file, wait=True)


def test_the_lock_of_a_replaced_file_is_recognised(tmp_path: Path) -> None:
    """A file that was removed or replaced after it was opened is not the one at its path."""
    path = tmp_path / "lock"
    with path.open("ab") as file:
        assert is_at(file, path)
        path.unlink()
        assert not is_at(file, path)
        path.touch()
        assert not is_at(file, path)
