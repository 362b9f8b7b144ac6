"""Faults change the time, never the result."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SOAK = Path(__file__).parents[2] / "tools" / "soak.py"
SECONDS = float(os.environ.get("TINKEX_SOAK_SECONDS", "60"))


@pytest.mark.holds("F45")
@pytest.mark.slow
@pytest.mark.timeout(300 + SECONDS)
def test_training_under_faults_and_kills_ends_in_the_weights_of_a_calm_run(tmp_path: Path) -> None:
    """`make soak`, in one minute in place of ten: what it reports is that nothing was lost or done twice."""
    done = subprocess.run(
        [sys.executable, str(SOAK), "--seconds", str(SECONDS), "--seed", "3", "--folder", str(tmp_path)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert "the same to the last bit as a calm run's" in done.stdout
    assert "key in a log      no" in done.stdout
    print(done.stdout)
