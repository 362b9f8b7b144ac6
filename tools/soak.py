"""Train under faults and kills, and compare the weights with those of a calm run.

    python tools/soak.py                    ten minutes
    python tools/soak.py --seconds 30       a short one
    python tools/soak.py --seed 4           the same faults and kills again, as far as time allows

Three processes: this one kills the other two, a local server that misbehaves as `tinkex.testing` can,
and a training program of a few lines around `tinkex.recovery.resumable`. Both are started again
whenever they have died. In the end the last checkpoint, optimizer included, must be the same to the
last bit as that of as many steps against a server that nothing happens to.
"""

from __future__ import annotations

import argparse
import json
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from safetensors.numpy import load

import tinkex
from tinkex.local import LocalServer
from tinkex.recovery import RecoveryEvent, RecoveryPolicy, read_run, resumable
from tinkex.testing import Fault

MODEL = "tinkex/nano"
LORA: dict[str, Any] = {"rank": 4, "seed": 11}
ADAM = tinkex.AdamParams(learning_rate=1e-3)
# It must turn up in no line that any of the processes writes.
CANARY = "tml-soak-0123456789abcdef"
PATIENCE = 180.0


def batch(step: int) -> list[tinkex.Datum]:
    """Return the data of a step, which depend on its number alone."""
    rng = np.random.default_rng(step)
    data = []
    for length in rng.integers(4, 20, size=3):
        tokens = rng.integers(1, 900, length).tolist()
        inputs = {"target_tokens": [t + 1 for t in tokens], "weights": [1.0] * len(tokens)}
        data.append(tinkex.Datum(tinkex.ModelInput.from_ints(tokens), inputs))
    return data


# The three programs.


def train(folder: Path, url: str) -> None:
    """Train until there is a file named "stop" in the folder, and save."""
    tinkex.enable_logging("info")
    policy = RecoveryPolicy(enabled=True, max_attempts=50, backoff=0.1, max_backoff=2.0)
    with (
        folder.joinpath("events.jsonl").open("a", buffering=1) as events,
        tinkex.events.subscribe(lambda event: _note(events, event.name), RecoveryEvent),
        tinkex.ServiceClient(base_url=url, api_key=CANARY, timeout=10) as service,
        resumable(
            folder / "run",
            service,
            base_model=MODEL,
            checkpoint_every=10,
            ttl=3600,
            policy=policy,
            **LORA,
        ) as run,
    ):
        _note(events, "program", resumed_from=run.resumed_from)
        for step in run.steps(10**9):
            with step:
                gradients, update = run.training.train_step(batch(step), "cross_entropy", ADAM)
                run.record(loss=gradients.result().loss)
                update.result()
                _note(events, "step", step=int(step), model=run.training.model_id)
                if folder.joinpath("stop").exists():
                    break


def serve(folder: Path, port: int, seed: int) -> None:
    """Serve badly, and note the faults that are played."""
    noted = 0
    with (
        LocalServer(folder / "data", port=port, faults=faults(random.Random(seed))) as server,
        folder.joinpath("faults.jsonl").open("a", buffering=1) as log,
    ):
        print(server.base_url, flush=True)
        pause = threading.Event()
        while True:
            pause.wait(0.05)
            played = server.faults.played[noted:]
            noted += len(played)
            for one in played:
                _note(log, kind_of(one.fault), operation=one.operation)


def calm(folder: Path, steps: int) -> dict[str, np.ndarray]:
    """Return the weights of as many steps that nothing happens to, without `tinkex.recovery`."""
    with (
        LocalServer(folder / "calm") as server,
        tinkex.ServiceClient(base_url=server.base_url) as service,
    ):
        training = service.create_lora_training_client(MODEL, **LORA)
        for step in range(steps):
            training.train_step(batch(step), "cross_entropy", ADAM)[1].result()
        path = training.save_state("end").result().path
        return weights(service, str(path), folder)


# What goes wrong.


def faults(chance: random.Random) -> list[Fault]:
    """Draw what a server does wrong in one life: some six kinds, each at one in some dozens."""
    retry = {"retry-after": "0.1"}
    submits = ("forward_backward", "optim_step", "save_weights")
    kinds: list[Callable[[], Fault]] = [
        lambda: Fault(status=503, headers=retry, **_when(chance, "*")),
        lambda: Fault(status=429, headers=retry, **_when(chance, *submits)),
        lambda: Fault(status=500, **_when(chance, "*")),
        # The work is done, and the answer that says so is lost.
        lambda: Fault(status=502, applied=True, **_when(chance, *submits)),
        lambda: Fault(reset=True, **_when(chance, "*")),
        lambda: Fault(reset=True, applied=False, **_when(chance, *submits)),
        lambda: Fault(cut_after=chance.randrange(40), **_when(chance, "*")),
        lambda: Fault(truncate=chance.randrange(40), **_when(chance, "retrieve_future", rare=True)),
        lambda: Fault(duplicate=True, **_when(chance, *submits)),
        lambda: Fault(hold=chance.uniform(0.05, 1.0), **_when(chance, "*")),
        lambda: Fault(latency=chance.uniform(0.05, 1.0), **_when(chance, "*")),
        lambda: Fault(status=408, **_when(chance, "retrieve_future")),
        lambda: Fault(status=404, **_when(chance, "retrieve_future")),
        lambda: Fault(status=400, body={}, **_when(chance, "retrieve_future")),
        lambda: Fault(
            status=200,
            body={"error": "out of memory", "category": "server"},
            **_when(chance, "retrieve_future", rare=True),
        ),
        lambda: Fault(status=404, **_when(chance, "session_heartbeat")),
    ]
    return [kind() for kind in chance.sample(kinds, 6)]


def _when(chance: random.Random, *operations: str, rare: bool = False) -> dict[str, Any]:
    every = chance.randrange(200, 400) if rare else chance.randrange(25, 90)
    return {
        "on": chance.choice(operations),
        "nth": chance.randrange(1, every),
        "every": every,
        "times": None,
    }


def kind_of(fault: Fault) -> str:
    """Return a fault's name in the report."""
    for name in ("cut_after", "truncate", "duplicate"):
        if getattr(fault, name) not in (None, False):
            return name
    applied = ", applied" if fault.takes_effect else ""
    if fault.reset:
        return f"reset{applied}"
    if fault.status is not None:
        return f"{fault.status}{applied}"
    return "hold" if fault.hold else "latency"


class Program:
    """Be a process that is started again whenever it has ended."""

    def __init__(self, log: IO[str], command: Callable[[], list[str]], *, speaks: bool) -> None:
        self._log = log
        self._command = command
        self._speaks = speaks
        self.starts = 0
        self.line = ""
        self.process = self.start()

    def start(self) -> subprocess.Popen[str]:
        """Start it, and wait for its first line if it is one that speaks."""
        self.starts += 1
        command = [sys.executable, "-W", "error", __file__, *self._command()]
        out = subprocess.PIPE if self._speaks else self._log
        self.process = subprocess.Popen(command, stdout=out, stderr=self._log, text=True)
        if self._speaks:
            assert self.process.stdout is not None
            self.line = self.process.stdout.readline().strip()
        return self.process

    def signal(self, number: int) -> None:
        """Send it a signal, if it lives."""
        if self.process.poll() is None:
            self.process.send_signal(number)

    def keep(self) -> int | None:
        """Start it again if it has ended; return its status if it ended well."""
        status = self.process.poll()
        if status is None:
            return None
        if status == 0:
            return 0
        self._close()
        self.start()
        return None

    def end(self) -> None:
        """End it for good."""
        self.signal(signal.SIGCONT)
        self.process.kill()
        self._close()

    def _close(self) -> None:
        self.process.wait()
        if self.process.stdout is not None:
            self.process.stdout.close()


@contextmanager
def programs(folder: Path, chance: random.Random) -> Iterator[tuple[Program, Program]]:
    """Run server and training for a block."""
    with (folder / "server.log").open("a") as heard, (folder / "train.log").open("a") as said:
        port = 0

        def serving() -> list[str]:
            return [
                "--serve",
                str(port),
                "--folder",
                str(folder),
                "--seed",
                str(chance.randrange(2**32)),
            ]

        server = Program(heard, serving, speaks=True)
        try:
            url = server.line
            port = int(url.rpartition(":")[2])
            training = Program(
                said, lambda: ["--train", url, "--folder", str(folder)], speaks=False
            )
            try:
                yield server, training
            finally:
                training.end()
        finally:
            server.end()


def torment(
    server: Program, training: Program, chance: random.Random, seconds: float
) -> Counter[str]:
    """Kill, stop and start both for so long; return what was done how often."""
    done: Counter[str] = Counter()
    ends = time.monotonic() + seconds
    pause = threading.Event()
    # A long soak has time for runs that get somewhere in between.
    longest_peace = 4.0 + min(seconds, 600.0) / 60
    next_blow = time.monotonic() + chance.uniform(1.0, 4.0)
    while time.monotonic() < ends:
        pause.wait(0.05)
        server.keep()
        training.keep()
        if time.monotonic() < next_blow:
            continue
        blow = chance.choices(
            ["server killed", "program killed", "both killed", "server stopped", "program ended"],
            [4, 3, 1, 1, 1],
        )[0]
        done[blow] += 1
        if blow in ("server killed", "both killed"):
            server.signal(signal.SIGKILL)
        if blow in ("program killed", "both killed"):
            training.signal(signal.SIGKILL)
        if blow == "program ended":
            training.signal(signal.SIGTERM)
        if blow == "server stopped":
            server.signal(signal.SIGSTOP)
            pause.wait(chance.uniform(0.3, 2.0))
            server.signal(signal.SIGCONT)
        next_blow = time.monotonic() + chance.uniform(1.0, longest_peace)
    return done


def finish(server: Program, training: Program, folder: Path) -> None:
    """Let the program train to the end of its step and save, however often it takes."""
    folder.joinpath("stop").touch()
    ends = time.monotonic() + PATIENCE
    while training.keep() is None:
        server.keep()
        if time.monotonic() > ends:
            raise SystemExit(f"the program did not end within {PATIENCE:g} s; see {folder}")
        threading.Event().wait(0.05)


# What came of it.


def weights(service: tinkex.ServiceClient, path: str, folder: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a checkpoint, with the optimizer's."""
    rest = service.create_rest_client()
    got = rest.download_checkpoint(path, folder / "downloads")
    return {
        f"{file.name}:{name}": tensor
        for file in sorted(got.folder.glob("*.safetensors"))
        for name, tensor in load(file.read_bytes()).items()
    }


def differing(ours: dict[str, np.ndarray], theirs: dict[str, np.ndarray]) -> list[str]:
    """Return the names of the tensors that are not the same."""
    if ours.keys() != theirs.keys():
        return sorted(ours.keys() ^ theirs.keys())
    return [name for name in ours if ours[name].tobytes() != theirs[name].tobytes()]


def report(folder: Path, done: Counter[str], starts: tuple[int, int], steps: int) -> None:
    """Print what happened."""
    events = [json.loads(line) for line in _lines(folder / "events.jsonl")]
    names = Counter(event["name"] for event in events)
    played = Counter(json.loads(line)["name"] for line in _lines(folder / "faults.jsonl"))
    print(f"  steps             {steps:,}, and {max(0, names['step'] - steps):,} done again")
    print(f"  done to them      {_shown(done)}")
    print(f"  faults played     {sum(played.values()):,}: {_shown(played)}")
    print(f"  started           server {starts[0]} times, program {starts[1]} times")
    print(
        f"  brought back      {names['tinkex.recovery.completed']} times within the program, "
        f"in {names['tinkex.recovery.started']} attempts"
    )


def soak(folder: Path, seconds: float, seed: int) -> int:
    """Do it all; return the status to exit with."""
    chance = random.Random(seed)
    print(f"soak: {seconds:g} s, seed {seed}, in {folder}", flush=True)
    with programs(folder, chance) as (server, training):
        done = torment(server, training, chance, seconds)
        finish(server, training, folder)
        starts = server.starts, training.starts
    record = read_run(folder / "run")
    if record is None or not record.checkpoints:
        print("  no checkpoint was ever made")
        return 1
    last = record.checkpoints[-1]
    with (
        LocalServer(folder / "data") as quiet,
        tinkex.ServiceClient(base_url=quiet.base_url) as service,
    ):
        ours = weights(service, last.path, folder)
    report(folder, done, starts, last.step)
    wrong = differing(ours, calm(folder, last.step))
    leaks = [file.name for file in folder.glob("*.*l*") if CANARY in file.read_text()]
    print(f"  key in a log      {', '.join(leaks) or 'no'}")
    if wrong:
        print(f"  weights           DIFFER from those of a calm run: {', '.join(wrong)}")
    else:
        print(f"  weights           {len(ours)} tensors, the same to the last bit as a calm run's")
    return 1 if wrong or leaks else 0


def _note(file: IO[str], name: str, **more: object) -> None:
    file.write(json.dumps({"name": name, **more}) + "\n")


def _lines(file: Path) -> list[str]:
    """Return a log's lines, but for one that its writer was killed in."""
    text = file.read_text() if file.exists() else ""
    return [line for line in text.splitlines() if line.startswith("{") and line.endswith("}")]


def _shown(counts: Counter[str]) -> str:
    return " · ".join(f"{name} ×{count}" for name, count in counts.most_common()) or "nothing"


def main() -> int:
    """Read the arguments and play the part that they name."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=600.0)
    parser.add_argument("--seed", default="1")
    parser.add_argument("--folder", type=Path, help="where everything is kept; else thrown away")
    parser.add_argument("--serve", type=int, help=argparse.SUPPRESS)
    parser.add_argument("--train", help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.serve is not None:
        serve(asked.folder, asked.serve, int(asked.seed))
    elif asked.train is not None:
        train(asked.folder, asked.train)
    elif asked.folder is not None:
        asked.folder.mkdir(parents=True, exist_ok=True)
        return soak(asked.folder, asked.seconds, int(asked.seed))
    else:
        with tempfile.TemporaryDirectory(prefix="tinkex-soak-") as folder:
            return soak(Path(folder), asked.seconds, int(asked.seed))
    return 0


if __name__ == "__main__":
    sys.exit(main())
