"""The examples about checkpoints run as a user runs them, and print what they claim."""

from __future__ import annotations

import json
import re
from pathlib import Path

from examples.test_examples import output_of


def test_weights_inspection_shows_a_checkpoint_from_outside_and_inside(tmp_path: Path) -> None:
    """The server's rank is compared with the expected one; the file's tensors are listed."""
    out = output_of("weights_inspection", tmp_path, TINKER_EXPECTED_RANK="8")
    assert "No checkpoint yet: saving one." in out
    assert "rank matches the expected 8" in out
    assert "lora_A" in out
    assert "signature" not in out


def test_checkpoints_management_lists_pages_and_rehearses(tmp_path: Path) -> None:
    """Three checkpoints are listed; the one that a pruning would take is still there after it."""
    out = output_of("checkpoints_management", tmp_path)
    assert "found 3 of 3" in out
    assert out.count("expires  never") == 2
    assert "fetched 3 (3)" in out
    assert re.search(r"would delete 1: tinker://\S+/weights/first\n", out)
    assert "found 3 of 3" in output_of("checkpoints_management", tmp_path)


def test_checkpoint_multi_delete_deletes_both(tmp_path: Path) -> None:
    """The summary counts two, and the file holds the first path without a line end."""
    out = output_of("checkpoint_multi_delete", tmp_path)
    summary = json.loads(out[out.index("{") :])
    assert (summary["deleted"], summary["failed"], summary["failures"]) == (2, 0, [])
    kept = (tmp_path / "tmp" / "checkpoints" / "default.path").read_text()
    assert kept == summary["paths"][0]


def test_training_persistence_restores_a_run(tmp_path: Path) -> None:
    """The restored client is a model of its own."""
    out = output_of("training_persistence", tmp_path)
    assert re.search(r"Saved for 86400 s as tinker://\S+/weights/demo-checkpoint-\d+", out)
    assert "Loaded back with its optimizer" in out
    assert re.search(r"Restored as \S+:train:1", out)
