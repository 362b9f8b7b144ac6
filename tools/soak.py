"""Train under faults and kills, and compare the weights with those of a calm run.

    python tools/soak.py                    ten minutes
    python tools/soak.py --seconds 30       a short one
    python tools/soak.py --seed 4           the same faults and kills again, as far as time allows

Three processes: this one kills the other two, a local server that misbehaves as `tinkex.testing` can,
and a program of a few lines around `tinkex.recovery.resumable` that trains two models in two threads,
while a third one samples and downloads checkpoints. Both are started again whenever they have died.
Between them, in this process, lies a network that loses, delays, cuts, denies and repeats requests.
In the end the last checkpoint of each model, optimizer included, must be the same to the last bit as that
of as many steps against a server that nothing happens to, and so must samples and downloads. Too few
faults are a failure too; on a machine that is busy it takes longer, until enough has happened.
"""

from __future__ import annotations

import argparse
import hashlib
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
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from safetensors.numpy import load

import tinkex
from tinkex.local import LocalServer
from tinkex.recovery import RecoveryEvent, RecoveryPolicy, read_run, resumable
from tinkex.testing import Fault

# The network is the tests'.
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))
from support.chaos import ChaosProxy, Plan, chaos
from support.ports import lasting_port
from support.programs import start

MODEL = "tinkex/nano"
LORA: dict[str, Any] = {"rank": 4, "seed": 11}
ADAM = tinkex.AdamParams(learning_rate=1e-3)
# It must turn up in no line that any of the processes writes.
CANARY = "tml-soak-0123456789abcdef"
PATIENCE = 180.0


RUNS = 2
# Faults a minute, of the server and of the network, with fewer of which nothing was shown.
LEAST_FAULTS = {"server": 5, "network": 20}
PROMPTS = [tinkex.ModelInput.from_ints([1, n]) for n in range(2, 10)]


def batch(run: int, step: int) -> list[tinkex.Datum]:
    """Return the data of a step, which depend on run and number alone."""
    rng = np.random.default_rng((run, step))
    data = []
    for length in rng.integers(4, 20, size=3):
        tokens = rng.integers(1, 900, length).tolist()
        inputs = {"target_tokens": [t + 1 for t in tokens], "weights": [1.0] * len(tokens)}
        data.append(tinkex.Datum(tinkex.ModelInput.from_ints(tokens), inputs))
    return data


def sampled(sampler: tinkex.SamplingClient) -> list[list[int]]:
    """Return what follows each of the prompts, which nothing but the weights decides."""
    params = tinkex.SamplingParams(max_tokens=4, temperature=0.0)
    futures = [sampler.sample(prompt, 1, params) for prompt in PROMPTS]
    return [list(future.result(120).sequences[0].tokens) for future in futures]


# The three programs.


def train(folder: Path, url: str) -> None:
    """Train two models until there is a file named "stop" in the folder, and save."""
    tinkex.enable_logging("info")
    over = threading.Event()
    with (
        folder.joinpath("events.jsonl").open("a", buffering=1) as events,
        tinkex.events.subscribe(lambda event: _note(events, event.name), RecoveryEvent),
        ThreadPoolExecutor(RUNS + 1) as pool,
        ExitStack() as services,
    ):
        # They are closed before the threads are waited for, so a program that is to end does.
        clients = [
            services.enter_context(tinkex.ServiceClient(base_url=url, api_key=CANARY, timeout=10))
            for _ in range(RUNS)
        ]
        services.callback(over.set)
        watching = pool.submit(watch, folder, url, events, over)
        runs = [pool.submit(train_one, folder, events, n, clients[n]) for n in range(RUNS)]
        for ended in as_completed(runs):
            ended.result()
        over.set()
        watching.result()


def train_one(folder: Path, events: IO[str], number: int, service: tinkex.ServiceClient) -> None:
    """Train one of the models."""
    policy = RecoveryPolicy(enabled=True, max_attempts=50, backoff=0.1, max_backoff=2.0)
    with resumable(
        folder / f"run-{number}",
        service,
        base_model=MODEL,
        checkpoint_every=10,
        ttl=3600,
        policy=policy,
        **LORA,
    ) as run:
        _note(events, "program", resumed_from=run.resumed_from)
        for step in run.steps(10**9):
            with step:
                data = batch(number, int(step))
                gradients, update = run.training.train_step(data, "cross_entropy", ADAM)
                run.record(loss=gradients.result().loss)
                update.result()
                _note(events, "step", run=number, step=int(step), model=run.training.model_id)
                if folder.joinpath("stop").exists():
                    break


def watch(folder: Path, url: str, events: IO[str], over: threading.Event) -> None:
    """Sample, and download the newest checkpoints, as long as there is training."""
    seen: set[str] = set()
    while not over.wait(0.1):
        try:
            with tinkex.ServiceClient(base_url=url, api_key=CANARY, timeout=10) as service:
                sampler = service.create_sampling_client(base_model=MODEL)
                while not over.wait(0.2):
                    _note(events, "sampled", tokens=sampled(sampler))
                    for path in _newest(folder) - seen:
                        _note(
                            events, "downloaded", path=path,
                            digest=digest(weights(service, path, folder / "live")),
                        )  # fmt: skip
                        seen.add(path)
        except tinkex.errors.TinkexError as error:
            # The server lost the session, or was away for long.
            _note(events, "watched again", error=type(error).__name__)


def _newest(folder: Path) -> set[str]:
    records = [read_run(folder / f"run-{number}") for number in range(RUNS)]
    return {record.checkpoints[-1].path for record in records if record and record.checkpoints}


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


def calm(folder: Path, number: int, steps: int) -> tuple[dict[str, np.ndarray], list[list[int]]]:
    """Return the weights of as many steps that nothing happens to, without `tinkex.recovery`.

    With them come samples of the base model.
    """
    with (
        LocalServer(folder / f"calm-{number}") as server,
        tinkex.ServiceClient(base_url=server.base_url) as service,
    ):
        training = service.create_lora_training_client(MODEL, **LORA)
        for step in range(steps):
            training.train_step(batch(number, step), "cross_entropy", ADAM)[1].result()
        path = training.save_state("end").result().path
        tokens = sampled(service.create_sampling_client(base_model=MODEL))
        return weights(service, str(path), folder / f"calm-{number}"), tokens


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
    """A process that is restarted whenever it has ended."""

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
        out = subprocess.PIPE if self._speaks else self._log
        command = [__file__, *self._command()]
        self.process = start(command, options=("-W", "error"), stdout=out, stderr=self._log)
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
def programs(
    folder: Path, chance: random.Random, plan: Plan
) -> Iterator[tuple[Program, Program, ChaosProxy]]:
    """Run server, network and training for a block."""
    with (folder / "server.log").open("a") as heard, (folder / "train.log").open("a") as said:
        port = lasting_port()

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
            with chaos(server.line, plan) as network:
                arguments = ["--train", network.url, "--folder", str(folder)]
                training = Program(said, lambda: arguments, speaks=False)
                try:
                    yield server, training, network
                finally:
                    training.end()
        finally:
            server.end()


def torment(
    server: Program,
    training: Program,
    chance: random.Random,
    seconds: float,
    is_enough: Callable[[], bool],
) -> Counter[str]:
    """Kill, stop and start both for so long, and until enough has happened; return what was done."""
    done: Counter[str] = Counter()
    began = time.monotonic()
    ends, gives_up = began + seconds, began + seconds + PATIENCE
    pause = threading.Event()
    # A long soak has time for runs that get somewhere in between.
    longest_peace = 4.0 + min(seconds, 600.0) / 60
    next_blow = time.monotonic() + chance.uniform(1.0, 4.0)
    while (now := time.monotonic()) < ends or (now < gives_up and not is_enough()):
        pause.wait(0.05)
        server.keep()
        training.keep()
        if now < next_blow:
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
    """Run the program until it has finished its step and saved, however often it takes."""
    folder.joinpath("stop").touch()
    ends = time.monotonic() + PATIENCE
    while training.keep() is None:
        server.keep()
        if time.monotonic() > ends:
            raise SystemExit(f"the program did not end within {PATIENCE:g} s; see {folder}")
        threading.Event().wait(0.05)


# The results.


def weights(service: tinkex.ServiceClient, path: str, folder: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a checkpoint, with the optimizer's."""
    rest = service.create_rest_client()
    got = rest.download_checkpoint(path, folder, force=True)
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


def digest(tensors: dict[str, np.ndarray]) -> str:
    """Return a digest of a checkpoint's tensors."""
    found = hashlib.sha256()
    for name in sorted(tensors):
        found.update(name.encode() + tensors[name].tobytes())
    return found.hexdigest()


def lacking(folder: Path, network: Counter[str], seconds: float) -> list[str]:
    """Return what too little happened of."""
    names, played = _happened(folder)
    found = [name for name in ("sampled", "downloaded") if not names[name]]
    for what, count in (("server", played.total()), ("network", network.total())):
        if count < LEAST_FAULTS[what] * seconds / 60:
            found.append(f"faults of the {what}")
    return found


def report(
    folder: Path,
    done: Counter[str],
    starts: tuple[int, int],
    steps: int,
    network: Counter[str],
) -> None:
    """Print what happened."""
    names, played = _happened(folder)
    print(f"  steps             {steps:,}, and {max(0, names['step'] - steps):,} done again")
    print(f"  beside them       {names['sampled']:,} times {len(PROMPTS)} samples, ", end="")
    print(f"{names['downloaded']:,} downloads")
    print(f"  done to them      {_shown(done)}")
    print(f"  server's faults   {played.total():,}: {_shown(played)}")
    print(f"  network's faults  {network.total():,}: {_shown(network)}")
    print(f"  started           server {starts[0]} times, program {starts[1]} times")
    print(
        f"  brought back      {names['tinkex.recovery.completed']} times within the program, "
        f"in {names['tinkex.recovery.started']} attempts"
    )


def _happened(folder: Path) -> tuple[Counter[str], Counter[str]]:
    """Return how often the program noted what, and how often the server played which fault."""
    played = (json.loads(line)["name"] for line in _lines(folder / "faults.jsonl"))
    return Counter(event["name"] for event in _events(folder)), Counter(played)


def soak(folder: Path, seconds: float, seed: int) -> int:
    """Do it all; return the status to exit with."""
    chance = random.Random(seed)
    print(f"soak: {seconds:g} s, seed {seed}, in {folder}", flush=True)
    with programs(folder, chance, Plan(seed, share=0.1)) as (server, training, network):
        done = torment(
            server, training, chance, seconds, lambda: not lacking(folder, network.played, seconds)
        )
        finish(server, training, folder)
        starts = server.starts, training.starts
    records = [read_run(folder / f"run-{number}") for number in range(RUNS)]
    if not all(record is not None and record.checkpoints for record in records):
        print("  no checkpoint was ever made")
        return 1
    last = [record.checkpoints[-1] for record in records if record is not None]
    with (
        LocalServer(folder / "data") as quiet,
        tinkex.ServiceClient(base_url=quiet.base_url) as service,
    ):
        ours = [weights(service, one.path, folder / "downloads") for one in last]
        wrong = wrong_downloads(folder, service)
    report(folder, done, starts, sum(one.step for one in last), network.played)
    too_few = lacking(folder, network.played, seconds)
    for number, one in enumerate(last):
        theirs, tokens = calm(folder, number, one.step)
        wrong += [f"run {number}: {name}" for name in differing(ours[number], theirs)]
    if any(event["tokens"] != tokens for event in _events(folder) if event["name"] == "sampled"):
        wrong.append("samples")
    leaks = [file.name for file in folder.glob("*.*l*") if CANARY in file.read_text()]
    print(f"  key in a log      {', '.join(leaks) or 'no'}")
    print(f"  too few           {', '.join(too_few) or 'nothing'}")
    if wrong:
        print(f"  weights           DIFFER from those of a calm run: {', '.join(wrong)}")
    else:
        count = sum(len(each) for each in ours)
        print(f"  weights           {count} tensors, the same to the last bit as a calm run's")
    return 1 if wrong or leaks or too_few else 0


def wrong_downloads(folder: Path, service: tinkex.ServiceClient) -> list[str]:
    """Return the checkpoints that were downloaded under faults and are not what the server has."""
    there = {one.tinker_path for one in service.create_rest_client().iter_user_checkpoints()}
    return [
        event["path"]
        for event in _events(folder)
        if event["name"] == "downloaded"
        and event["path"] in there
        and event["digest"] != digest(weights(service, event["path"], folder / "downloads"))
    ]


def _events(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in _lines(folder / "events.jsonl")]


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
