"""Call a function in a process of its own: where a setting belongs to the process, servers of this one change it, too."""

from __future__ import annotations

import inspect
import os
from collections.abc import Callable
from pathlib import Path

from support.programs import complete

CALL = "import runpy, sys; runpy.run_path(sys.argv[1])[sys.argv[2]]()"


def call_alone(function: Callable[[], None]) -> None:
    """Call a module's function in a new process; an assertion that fails there fails here."""
    done = complete(
        ["-c", CALL, inspect.getfile(function), function.__name__],
        afresh=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
    )
    assert done.returncode == 0, done.stderr
