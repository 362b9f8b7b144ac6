"""A change of the API, taken through generation, mypy and a call."""

from __future__ import annotations

import pytest
import regenerate_check


def test_a_change_is_taken_through_generation_mypy_and_a_call(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A new field and a new endpoint can be used, and mypy names what a removal breaks."""
    assert regenerate_check.main(["--without-tinkex"]) == 0
    told = capsys.readouterr().out
    assert '"Checkpoint" has no attribute "size_bytes"' in told
    assert "expected \"Literal['owned', 'readable']\"" in told
    assert "GET /api/v1/checkpoints/labels?label=a%2Cb&label=c" in told
