"""What the tests of the site share."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def built_site() -> Path:
    """Build the site as `make docs` does, once, and return its folder."""
    command = [sys.executable, ROOT / "tools" / "build_site.py"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=200)
    output = done.stdout + done.stderr
    assert done.returncode == 0, output
    assert "warning" not in output.lower()
    return ROOT / "build" / "site"
