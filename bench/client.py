"""Measure tinkex beside the newest official `tinker` client, on one stand-in server, in turn.

    python bench/client.py [--repeat 5] [--only sample] [--json FILE]

Makes a venv for each client on first use (`.venv-bench/`, the official client from PyPI with the
ordinary pip), starts `standin.py`, and runs each work in both clients alternately, every measurement
in a fresh process (`client_work.py`). Prints one table of ratios, ours over theirs: below one, tinkex
needs less. Needs the standard library alone; peaks of memory need Linux.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import urllib.request
import venv
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import front

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
VENVS = ROOT / ".venv-bench"
OURS, THEIRS, ENGINE = "tinkex", "tinker", "engine"
INSTALL = {
    OURS: ["--constraint", str(ROOT / "constraints.txt"), str(ROOT)],
    THEIRS: [THEIRS],
    # For bench/engine.py, which compares with this version of PyTorch.
    ENGINE: ["--constraint", str(ROOT / "constraints.txt"), f"{ROOT}[local]", "torch==2.13.0"],
}
# The remaining settings of the official client; both get the same environment.
ENVIRONMENT = {"TINKER_TELEMETRY": "1", "PYTHONDONTWRITEBYTECODE": ""}
# Threads that Python knows; those of the HTTP library's runtime are shown beside them.
MOST_THREADS = 8
MOST_OVER_IDEAL = 1.1
# A sample takes so many seconds at least and at most, and a poll is held for as long as the last.
TAKES = (5.0, 15.0, 30.0)
MEMORY = {"growth": "memory: growth", "peak": "memory: process peak"}
TIMES = {"cpu": "CPU", "wall": "wall"}


@dataclass
class Work:
    """A measurement: what is measured, how often, and the targets of the ratios."""

    title: str
    name: str
    units: int
    unit: str
    targets: dict[str, float]
    latency: float = 0.0
    takes: tuple[float, float, float] = (0.0, 0.0, 0.0)
    is_encrypted: bool = False
    threads: int | None = None
    ideal: float | None = None
    repeat: int | None = None
    readings: dict[str, list[dict[str, Any]]] = field(
        default_factory=lambda: {OURS: [], THEIRS: []}
    )

    def best(self, client: str, quantity: str) -> float:
        """Return the least time (noise only adds), or the median of memory."""
        values = [reading[quantity] for reading in self.readings[client]]
        return statistics.median(values) if quantity in MEMORY else min(values)

    def ratio(self, quantity: str) -> float:
        """Return ours over theirs."""
        return self.best(OURS, quantity) / self.best(THEIRS, quantity)


def works() -> list[Work]:
    """Return everything that is measured, with its targets."""
    memory = {"growth": 0.8, "peak": 0.8}
    held = {"cpu": 0.3, "peak": 0.6}
    chosen = [
        Work(
            "2,000 samples of 5 to 15 s",
            "sample_at_once",
            2000,
            "sample",
            held,
            takes=TAKES,
            threads=MOST_THREADS,
            ideal=TAKES[1],
            repeat=2,
        ),
        Work(
            "the same over TLS and HTTP/2",
            "sample_at_once",
            2000,
            "sample",
            held,
            takes=TAKES,
            is_encrypted=True,
            threads=MOST_THREADS,
            ideal=TAKES[1],
            repeat=2,
        ),
        Work("step, numpy in", "step_numpy", 5, "step", {"cpu": 0.5, **memory}),
        Work("step, lists in", "step_lists", 5, "step", {"cpu": 0.6, **memory}),
        Work(
            "2,000 samples at once",
            "sample_at_once",
            2000,
            "sample",
            {"cpu": 0.45, "wall": 0.45, **memory},
        ),
        Work(
            "2,000 at once, 80 ms latency",
            "sample_at_once",
            2000,
            "sample",
            {"wall": 1.0, **memory},
            latency=0.08,
            threads=MOST_THREADS,
        ),
        Work(
            "400 samples in turn",
            "sample_in_turn",
            400,
            "sample",
            {"cpu": 0.45, "wall": 0.45, **memory},
        ),
        Work("import", "import", 1, "import", {"wall": 0.3, **memory}),
        Work("import to first sample", "first_sample", 1, "start", {}),
    ]
    return [work for work in chosen if not work.is_encrypted or front.is_available()]


def python_of(client: str) -> Path:
    """Return the interpreter of a client's venv, which is made if need be."""
    home = VENVS / client
    python = home / "bin" / "python"
    if not python.exists():
        print(f"making {home.relative_to(ROOT)} ...", file=sys.stderr)
        venv.create(home, with_pip=True)
    # Each time: the checkout changes, and the newest official client is the peer.
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--upgrade"]
    done = subprocess.run([*pip, *INSTALL[client]], check=False)
    if done.returncode:
        print(f"pip failed for {client}; continuing with the installed version", file=sys.stderr)
    return python


def version_of(python: Path, package: str) -> str:
    """Return the installed version of a package."""
    code = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    return subprocess.check_output([python, "-c", code, package], text=True).strip()


@contextlib.contextmanager
def standin() -> Iterator[str]:
    """Run the stand-in server and give its address."""
    server = subprocess.Popen(
        [sys.executable, HERE / "standin.py"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin
    assert server.stdout
    try:
        yield f"http://127.0.0.1:{int(server.stdout.readline())}"
    finally:
        server.stdin.close()
        server.wait(10)


def ask(url: str, path: str, body: bytes | None = None) -> Any:
    """Send one request to the stand-in itself."""
    with urllib.request.urlopen(urllib.request.Request(url + path, data=body)) as response:
        return json.load(response)


def measure(python: Path, client: str, work: Work, url: str) -> dict[str, Any]:
    """Run one measurement in a fresh process and return its reading."""
    if work.is_encrypted:
        with front.tls_front(url) as (encrypted, made):
            return _measured(python, client, work, url, encrypted, {"SSL_CERT_FILE": str(made)})
    return _measured(python, client, work, url, url, {})


def _measured(
    python: Path, client: str, work: Work, url: str, way: str, environment: dict[str, str]
) -> dict[str, Any]:
    ask(url, "/bench/latency", str(work.latency).encode())
    ask(url, "/bench/takes", " ".join(map(str, work.takes)).encode())
    before = ask(url, "/bench/stats")
    child = subprocess.Popen(
        [python, HERE / "client_work.py", client, work.name, way, str(work.units)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | ENVIRONMENT | environment,
        cwd=HERE,
    )
    native = _most_threads(child)
    printed, complaint = child.communicate()
    if child.returncode:
        raise SystemExit(f"{client}: {work.title} failed:\n{complaint}")
    after = ask(url, "/bench/stats")
    requests = sum(after["requests"].values())
    server_cpu = (after["cpu"] - before["cpu"]) / work.units
    return json.loads(printed) | {
        "native_threads": native,
        "requests": requests / work.units,
        "server_cpu": server_cpu,
    }


def _most_threads(child: subprocess.Popen[str]) -> int:
    """Count a process's threads until it ends, and return the most there were (Linux)."""
    tasks, most = Path(f"/proc/{child.pid}/task"), 0
    while True:
        with contextlib.suppress(OSError):
            most = max(most, sum(1 for _ in tasks.iterdir()))
        try:
            child.wait(0.02)
        except subprocess.TimeoutExpired:
            continue
        return most


def check_same_numbers(pythons: dict[str, Path], url: str) -> None:
    """Fail if the clients' training requests do not carry the same numbers."""
    sums = {}
    for client, python in pythons.items():
        ask(url, "/bench/received")
        measure(python, client, Work("check", "step_numpy", 1, "step", {}), url)
        totals: dict[str, float] = {}
        for request in ask(url, "/bench/received"):
            for name, value in request.items():
                totals[name] = totals.get(name, 0.0) + value
        sums[client] = totals
    ours, theirs = sums[OURS], sums[THEIRS]
    assert ours.keys() == theirs.keys(), (ours, theirs)
    for name, value in theirs.items():
        # JSON writes the shortest text of a float32; its sum differs in the last digits.
        assert abs(ours[name] - value) <= 1e-6 * abs(value), (name, ours[name], value)


def run(chosen: list[Work], repeat: int) -> dict[str, str]:
    """Fill in the readings of all works and return what was compared."""
    pythons = {client: python_of(client) for client in (OURS, THEIRS)}
    versions = {client: version_of(pythons[client], client) for client in pythons}
    versions["python"] = subprocess.check_output(
        [pythons[OURS], "-c", "import platform; print(platform.python_version())"], text=True
    ).strip()
    print(f"tinkex {versions[OURS]} beside tinker {versions[THEIRS]}", file=sys.stderr)
    with standin() as url:
        check_same_numbers(pythons, url)
        # The first runs in a new venv write bytecode, and warm the disk's cache.
        for client, python in pythons.items():
            measure(python, client, Work("warm-up", "first_sample", 1, "start", {}), url)
        for work in chosen:
            times = min(work.repeat or repeat, repeat)
            for i in range(times):
                order = (OURS, THEIRS) if i % 2 == 0 else (THEIRS, OURS)
                for client in order:
                    work.readings[client].append(measure(pythons[client], client, work, url))
                print(f"{work.title}: {i + 1} of {times}", file=sys.stderr)
    return versions


def table(chosen: list[Work]) -> str:
    """Return the ratios and what they are made of, as Markdown."""
    lines = [
        "| work | measured | tinkex | tinker | ratio | target | |",
        "|---|---|---:|---:|---:|---:|---|",
    ]
    for work in chosen:
        title = work.title
        for quantity, name in (TIMES | MEMORY).items():
            if any(reading[quantity] is None for reading in work.readings[OURS]):
                continue
            ours, theirs = (_shown(work, client, quantity) for client in (OURS, THEIRS))
            target, ratio = work.targets.get(quantity), work.ratio(quantity)
            verdict = "" if target is None else ("met" if ratio <= target else "**missed**")
            limit = "" if target is None else f"≤ {target}"
            per = name if quantity in MEMORY else f"{name} per {work.unit}"
            lines.append(
                f"| {title} | {per} | {ours} | {theirs} | {ratio:.2f} | {limit} | {verdict} |"
            )
            title = ""
        if work.ideal is not None:
            lines.append(_over_ideal(work, work.ideal))
        if work.threads:
            ours, theirs = (_most(work, client, "threads") for client in (OURS, THEIRS))
            verdict = "met" if ours <= work.threads else "**missed**"
            lines.append(f"| | threads | {ours} | {theirs} | | ≤ {work.threads} | {verdict} |")
            ours, theirs = (_most(work, client, "native_threads") for client in (OURS, THEIRS))
            lines.append(f"| | threads, the runtime of HTTP included | {ours} | {theirs} | | | |")
    return "\n".join(lines)


def _over_ideal(work: Work, ideal: float) -> str:
    """Return the wall time of all samples over that of the longest, which no client can beat."""
    ours, theirs = (work.best(client, "wall") * work.units / ideal for client in (OURS, THEIRS))
    verdict = "met" if ours <= MOST_OVER_IDEAL else "**missed**"
    return f"| | wall over ideal ({ideal:g} s) | {ours:.2f} | {theirs:.2f} | | ≤ {MOST_OVER_IDEAL} | {verdict} |"


def _most(work: Work, client: str, quantity: str) -> int:
    return max(reading[quantity] for reading in work.readings[client])


def _shown(work: Work, client: str, quantity: str) -> str:
    value = work.best(client, quantity)
    return f"{value / 2**20:.1f} MiB" if quantity in MEMORY else f"{value * 1e3:.2f} ms"


def server_share(chosen: list[Work]) -> str:
    """Return the CPU time of the stand-in server, which must not dominate."""
    parts = []
    for work in chosen:
        if work.name != "import":
            each = " / ".join(
                f"{min(r['server_cpu'] for r in work.readings[client]) * 1e3:.2f}"
                for client in (OURS, THEIRS)
            )
            parts.append(f"{work.title} {each}")
    return "Stand-in server's own CPU in ms per unit (tinkex / tinker): " + "; ".join(parts) + "."


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--repeat", type=int, default=5, help="measurements of each work and client"
    )
    parser.add_argument("--only", default="", help="only works whose title contains this")
    parser.add_argument("--json", type=Path, help="also write every reading to this file")
    options = parser.parse_args()
    chosen = [work for work in works() if options.only in work.title]
    versions = run(chosen, options.repeat)
    print(
        f"tinkex {versions[OURS]} (this checkout) beside tinker {versions[THEIRS]} (the newest on "
        f"PyPI), Python {versions['python']}, {os.cpu_count()} cores, {platform.machine()}. "
        f"Each number is of {options.repeat} fresh processes, the clients in turn: times are the "
        "least, memory is the median. CPU is the user and system time of the client process, all "
        "threads, during the work alone; a small unit of the same work came before, and the process "
        "was at rest again, NumPy's threads too. Growth of "
        "memory is the high-water mark of resident memory during the work less what was resident "
        "before it; process peak is the mark itself, with interpreter, imports and data. A ratio "
        "is ours over theirs.\n"
    )
    print(table(chosen))
    print()
    print(server_share(chosen))
    if options.json:
        options.json.write_text(json.dumps({w.title: w.readings for w in chosen}, indent=1))


if __name__ == "__main__":
    main()
