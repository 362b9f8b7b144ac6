"""A program that sets up no logging hears nothing from the package's loggers."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

import tinkex

HOMES = sorted(set(tinkex._HOMES.values()))
# Each in a process of its own.
LOGGED = """
import importlib, logging, os, sys
for name in sys.argv[1:]:
    if os.fork():
        assert os.wait()[1] == 0, name
        continue
    importlib.import_module(name)
    assert any(type(one) is logging.NullHandler for one in logging.getLogger("tinkex").handlers), name
    os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_the_home_of_every_public_name_leaves_logging_to_the_program() -> None:
    """Whichever is imported first, the package's logger then has the handler that does nothing."""
    command = [sys.executable, "-c", LOGGED, *HOMES]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
