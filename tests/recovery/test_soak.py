"""Faults change the time, never the result."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import cast

import pytest
import soak
from support.extent import extent

SECONDS = extent("SOAK_SECONDS", 6, 600)


@pytest.mark.holds("F45")
@pytest.mark.slow
@pytest.mark.timeout(600 + SECONDS)
def test_training_under_faults_and_kills_ends_in_the_weights_of_a_calm_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """`make soak`, in seconds in place of ten minutes: what it reports is that nothing was lost or done twice."""
    status = soak.soak(tmp_path, SECONDS, seed=3)
    said = capsys.readouterr().out
    assert status == 0, said
    assert "the same to the last bit as a calm run's" in said
    assert "key in a log      no" in said
    assert "too few           nothing" in said
    print(said)


class Idle:
    """A program that needs nothing."""

    def keep(self) -> None:
        pass

    def signal(self, number: int) -> None:
        pass


def test_a_soak_in_which_too_little_happened_is_none(tmp_path: Path) -> None:
    """Without faults, samples or downloads nothing was shown, and what was lacking is named."""
    lacking = soak.lacking(tmp_path, Counter(lost=19), 60.0)
    assert lacking == ["sampled", "downloaded", "faults of the server", "faults of the network"]
    assert "faults of the network" not in soak.lacking(tmp_path, Counter(lost=20), 60.0)


def test_a_soak_goes_on_until_enough_has_happened() -> None:
    """However slow the machine is: what it waits for is counted in events, not in seconds."""
    idle = cast("soak.Program", Idle())
    answers = [False, False, False, True]
    soak.torment(idle, idle, random.Random(0), 0.0, lambda: answers.pop(0))
    assert not answers
