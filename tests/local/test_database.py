"""The server's own files, whatever state an earlier server left them in."""

import sqlite3
from contextlib import closing

import pytest

from tinkex.local.database import Database
from tinkex.local.results import SCHEMA


def test_a_table_that_an_earlier_build_lacked_is_added(tmp_path):
    """A file with the same layout number and fewer tables is completed at the next start."""
    path = tmp_path / "results.sqlite3"
    with closing(sqlite3.connect(path)) as old:
        old.executescript(SCHEMA)
        old.execute("DROP TABLE metrics")
        old.commit()
    with closing(Database(path, SCHEMA)) as database:
        assert database.execute("DELETE FROM metrics") == 0


def test_a_file_of_a_newer_build_is_left_alone(tmp_path):
    """A layout number that this build does not know is refused by name."""
    path = tmp_path / "results.sqlite3"
    with closing(sqlite3.connect(path)) as newer:
        newer.execute("PRAGMA user_version = 99")
        newer.commit()
    with pytest.raises(RuntimeError, match="newer tinkex"):
        Database(path, SCHEMA)
