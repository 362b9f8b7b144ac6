"""kill -9 at random moments of a training loop that resumes from its last checkpoint.

TINKEX_KILLS=50 python -m pytest tests/local/test_kill.py    # the long run
"""

from __future__ import annotations

import random
import threading
from pathlib import Path

import httpx
import numpy as np
import pytest
from local.wire import Model, Wire, datum, serve_process
from support.extent import extent
from support.stored_weights import assert_same_weights, stored_weights

KILLS = extent("KILLS", 3, 50)
LORA = {"rank": 4, "seed": 11}


def begin(wire: Wire, path: str | None) -> Model:
    """Start training, from a checkpoint if there is one."""
    session = wire.session()
    if path is None:
        return wire.model(session, lora_config=LORA)
    body = {"session_id": session, "model_seq_id": 0, "path": path, "optimizer": True}
    made = wire.result(wire.post("load_weights", **body))
    return Model(wire, made["model_id"], session)


def take(model: Model, step: int) -> str:
    """Take one step on the step's own data and return the path of the checkpoint after it."""
    tokens = np.random.default_rng(step).integers(1, 900, 12).tolist()
    model.step([datum(tokens), datum(tokens[:5])])
    return str(model.call("save_weights", path=f"step-{step}")["path"])


@pytest.mark.slow
@pytest.mark.timeout(60 + 15 * KILLS)
def test_killed_training_ends_in_the_same_weights(tmp_path: Path) -> None:
    """However often the server dies, resuming from the last checkpoint gives the undisturbed run."""
    chance = random.Random(1)
    path: str | None = None
    steps = 0
    for _ in range(KILLS):
        with serve_process(tmp_path / "killed") as (process, wire):
            killer = threading.Timer(chance.uniform(0.0, 0.8), process.kill)
            killer.start()
            try:
                model = begin(wire, path)
                while True:
                    path = take(model, steps)
                    steps += 1
            except httpx.TransportError:
                killer.join()
    with serve_process(tmp_path / "killed") as (_, wire):
        model = begin(wire, path)
        for step in range(steps, steps + 2):
            path = take(model, step)
    with serve_process(tmp_path / "undisturbed") as (_, wire):
        model = begin(wire, None)
        for step in range(steps + 2):
            expected = take(model, step)
    print(f"{KILLS} kills, {steps + 2} steps")
    assert path is not None
    assert_same_weights(
        stored_weights(tmp_path / "killed", path),
        stored_weights(tmp_path / "undisturbed", expected),
    )
