"""Call a function in a process of its own: where a setting belongs to the process, servers of this one change it, too."""

from __future__ import annotations

import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

CALL = "import runpy, sys; runpy.run_path(sys.argv[1])[sys.argv[2]]()"


def call_alone(function: Callable[[], None]) -> None:
    """Call a module's function in a new process; an assertion that fails there fails here."""
    done = subprocess.run(
        [sys.executable, "-c", CALL, inspect.getfile(function), function.__name__],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
