"""A training program that kills itself, or its server, at the places that it is told.

    python killed_program.py FOLDER URL STEPS

FOLDER/kills.json lists [who, where, step] for "program" and "server"; each happens once, since it is
noted in FOLDER/done before. FOLDER/server.pid is the server's process.
"""

from __future__ import annotations

import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))
from support.training import ADAM, NANO_RUN, batch

from tinkex import ServiceClient
from tinkex.recovery import RecoveryPolicy, resumable
from tinkex.recovery import run as run_module

PATIENT = RecoveryPolicy(enabled=True, max_attempts=20, backoff=0.05, max_backoff=0.5)


def main(folder: Path, url: str, steps: int) -> None:
    kills = [tuple(kill) for kill in json.loads((folder / "kills.json").read_text())]
    done = folder / "done"
    at = 0

    def maybe(where: str) -> None:
        for who in ("server", "program"):
            kill = f"{who} {where} {at}"
            known = done.read_text().splitlines() if done.exists() else []
            if (who, where, at) not in kills or kill in known:
                continue
            with done.open("a") as file:
                file.write(kill + "\n")
            pid = os.getpid() if who == "program" else int((folder / "server.pid").read_text())
            os.kill(pid, signal.SIGKILL)

    write = run_module.write_run

    def write_run(*args: Any) -> None:
        maybe("before writing")
        write(*args)
        maybe("after writing")

    run_module.write_run = write_run
    with (
        ServiceClient(base_url=url, timeout=10) as service,
        resumable(folder / "run", service, checkpoint_every=5, policy=PATIENT, **NANO_RUN) as run,
    ):
        maybe("at start")
        for step in run.steps(steps):
            with step:
                at = int(step)
                maybe("before")
                gradients = run.training.forward_backward(batch(step), "cross_entropy")
                maybe("between")
                update = run.training.optim_step(ADAM)
                maybe("submitted")
                gradients.result()
                update.result()
                maybe("after")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
