"""The tensors of a checkpoint, as they lie in a local server's folder."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from tinkex.local.datadir import DATABASE_NAME


def stored_weights(data_dir: Path, path: str) -> dict[str, np.ndarray]:
    """Return every tensor of a training checkpoint, with the optimizer's."""
    run_id, _, name = path.removeprefix("tinker://").split("/")
    with closing(sqlite3.connect(data_dir / DATABASE_NAME)) as connection:
        (folder,) = connection.execute(
            "SELECT folder FROM checkpoints WHERE run_id = ? AND name = ?", (run_id, name)
        ).fetchone()
    files = sorted((data_dir / "checkpoints" / folder).glob("*.safetensors"))
    assert len(files) == 2
    return {f"{file.name}:{key}": value for file in files for key, value in load_file(file).items()}


def assert_same_weights(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> None:
    """Every tensor is the same, to the last bit."""
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        np.testing.assert_array_equal(ours[name], tensor, err_msg=name)
