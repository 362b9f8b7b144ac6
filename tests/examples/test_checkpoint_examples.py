"""The examples about checkpoints run as a user runs them, and print what they claim."""

from __future__ import annotations

from pathlib import Path

from examples.test_examples import output_of


def test_weights_inspection_shows_a_checkpoint_from_outside_and_inside(tmp_path: Path) -> None:
    """The server's rank is compared with the expected one; the file's tensors are listed."""
    out = output_of("weights_inspection", tmp_path, TINKER_EXPECTED_RANK="8")
    assert "No checkpoint yet: saving one." in out
    assert "rank matches the expected 8" in out
    assert "lora_A" in out
    assert "signature" not in out
