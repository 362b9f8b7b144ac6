"""What the tests of the site share."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.kept import kept

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def built_site(pytestconfig: pytest.Config) -> Path:
    """Build the site as `make docs` does, once, and return its folder."""

    def build(folder: Path) -> None:
        command = [sys.executable, ROOT / "tools" / "build_site.py"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=200)
        output = done.stdout + done.stderr
        assert done.returncode == 0, output
        assert "warning" not in output.lower()
        shutil.copytree(ROOT / "build" / "site", folder / "site")

    return kept(pytestconfig.cache, "site", build) / "site"
