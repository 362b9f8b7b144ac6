"""kill -9 of the training program and of its server, at random places of random steps.

TINKEX_KILLS=40 python -m pytest tests/recovery/test_killed.py    # the long run
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from support import programs
from support.extent import extent
from support.greeting import greeting_of, url_in
from support.ports import lasting_port
from support.stored_weights import assert_same_weights, stored_weights
from support.training import NANO_RUN, train

from tinkex import ServiceClient
from tinkex.local import LocalServer
from tinkex.recovery import read_run

KILLS = extent("KILLS", 5, 40)
STEPS = 23 + KILLS
PLACES = ("before", "between", "submitted", "after", "before writing", "after writing")
PROGRAM = Path(__file__).with_name("killed_program.py")
SERVE = "from tinkex.cli import main; main()"


@contextmanager
def kept_alive(folder: Path) -> Iterator[str]:
    """Run a server that is started again, on its port, whenever it dies; yield its URL."""
    port = lasting_port()
    ends = threading.Event()
    answers = threading.Event()
    url = ""

    def supervise() -> None:
        nonlocal url
        while not ends.is_set():
            command = [
                "-c",
                SERVE,
                "serve",
                "--data-dir",
                str(folder / "data"),
                "--port",
                str(port),
            ]
            with programs.start(command, stdout=subprocess.PIPE) as process:
                assert process.stdout is not None
                url = url_in(greeting_of(process))
                (folder / "server.pid").write_text(str(process.pid))
                answers.set()
                process.stdout.read()

    thread = threading.Thread(target=supervise)
    thread.start()
    assert answers.wait(60)
    try:
        yield url
    finally:
        ends.set()
        os.kill(int((folder / "server.pid").read_text()), 9)
        thread.join()


@pytest.mark.holds("F45")
@pytest.mark.slow
@pytest.mark.timeout(120 + 15 * KILLS)
def test_a_run_that_is_killed_anywhere_ends_in_the_same_weights(tmp_path: Path) -> None:
    """Program and server die before, within and after steps, and around the writing of the run's file."""
    chance = random.Random(4)
    kills = [["server", "submitted", 7], ["program", "before writing", 9]]
    while len(kills) < KILLS:
        place, step = chance.choice(PLACES), chance.randrange(STEPS)
        # The file is written at steps 4, 9, …: the last of the steps that a checkpoint holds.
        kills.append(
            [
                chance.choice(["server", "program"]),
                place,
                step - step % 5 + 4 if "writing" in place else step,
            ]
        )
    (tmp_path / "kills.json").write_text(json.dumps(kills))
    starts = 0
    with kept_alive(tmp_path) as url:
        status = None
        while status != 0:
            starts += 1
            command = [str(PROGRAM), str(tmp_path), url, str(STEPS)]
            ended = programs.complete(command, options=("-W", "error"), timeout=240)
            status = ended.returncode
            assert status in (0, -9), ended.stderr
    done = (tmp_path / "done").read_text().splitlines()
    print(f"{len(done)} kills, {starts} starts, {STEPS} steps")
    assert len(done) >= min(KILLS, 4)
    assert starts == 1 + sum(kill.startswith("program") for kill in done)
    record = read_run(tmp_path / "run")
    assert record is not None
    assert record.step == STEPS
    with (
        LocalServer(data_dir=tmp_path / "calm") as server,
        ServiceClient(base_url=server.base_url) as service,
    ):
        settings = {key: value for key, value in NANO_RUN.items() if key != "base_model"}
        training = service.create_lora_training_client(NANO_RUN["base_model"], **settings)
        for step in range(STEPS):
            train(training, step)
        path = str(training.save_state("end").result().path)
    assert_same_weights(
        stored_weights(tmp_path / "data", record.checkpoints[-1].path),
        stored_weights(tmp_path / "calm", path),
    )
