"""Measure a checkpoint's download over loopback beside curl, in turn, and its memory.

    python bench/download.py                    # 2 GiB, three rounds
    python bench/download.py --mib 256 --markdown

The same server, a process of its own, sends the same sparse file to both with sendfile; both write it
to the same disk. What is timed for tinkex is `rest.download_checkpoint(..., extract=False)` as a whole:
asking for the URL, streaming, comparing the length, renaming. Memory is the growth of the process'
peak resident size from just before the first download. The claims: less than 64 MiB more memory, and
a time near curl's.
"""

from __future__ import annotations

import argparse
import contextlib
import http.server
import multiprocessing
import resource
import shutil
import socketserver
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import tinkex

PATH = "tinker://run-1:train:0/sampler_weights/final"
MIB = 1024 * 1024
MOST_MEMORY_MIB = 64


class _Handler(http.server.BaseHTTPRequestHandler):
    """Sign an archive, and send it."""

    protocol_version = "HTTP/1.1"
    archive: Path

    def do_GET(self) -> None:
        if self.path.endswith("/archive"):
            self.send_response(302)
            self.send_header("Location", "/signed")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(200)
        self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(self.archive.stat().st_size))
        self.end_headers()
        with self.archive.open("rb") as file:
            self.connection.sendfile(file)

    def log_message(self, *_: object) -> None:
        """Log nothing: printing would be measured as well."""


def _serve(archive: Path, ready: Connection) -> None:
    handler: Any = type("Handler", (_Handler,), {"archive": archive})
    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = True
        ready.send(server.server_address[1])
        server.serve_forever()


@contextlib.contextmanager
def serving(archive: Path) -> Iterator[str]:
    """Serve an archive from another process as long as the block runs."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(archive, there), daemon=True)
    process.start()
    try:
        yield f"http://127.0.0.1:{here.recv()}"
    finally:
        process.terminate()
        process.join()


def peak_mib() -> float:
    """Return the most memory that this process ever held."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / MIB


def timed_curl(curl: str, url: str, folder: Path) -> float:
    """Return the seconds that curl takes."""
    target = folder / "curl.tar"
    began = time.perf_counter()
    subprocess.run([curl, "--silent", "--fail", "--output", target, f"{url}/signed"], check=True)
    took = time.perf_counter() - began
    target.unlink()
    return took


def timed_tinkex(rest: tinkex.RestClient, folder: Path, size: int) -> float:
    """Return the seconds that a download takes."""
    began = time.perf_counter()
    got = rest.download_checkpoint(PATH, folder, extract=False)
    took = time.perf_counter() - began
    if got.size_bytes != size:
        raise SystemExit(f"{got.size_bytes} bytes came instead of {size}")
    shutil.rmtree(got.folder)
    return took


def measure(size: int, rounds: int) -> tuple[list[float], list[float], float]:
    """Return curl's and tinkex' seconds, and the memory in MiB that came on top."""
    curl = shutil.which("curl")
    if curl is None:
        raise SystemExit("curl is not installed, and there is nothing to compare with")
    with tempfile.TemporaryDirectory() as scratch:
        folder, archive = Path(scratch), Path(scratch) / "archive"
        with archive.open("wb") as file:
            file.truncate(size)
        with (
            serving(archive) as url,
            tinkex.ServiceClient(api_key="tml-bench", base_url=url, telemetry=False) as service,
        ):
            rest = service.create_rest_client()
            before = peak_mib()
            theirs, ours = [], []
            for _ in range(rounds):
                theirs.append(timed_curl(curl, url, folder))
                ours.append(timed_tinkex(rest, folder, size))
            return theirs, ours, peak_mib() - before


def main() -> int:
    """Measure and print; exit with 1 if the memory exceeded its limit."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--mib", type=int, default=2048)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--markdown", action="store_true")
    options = parser.parse_args()
    theirs, ours, memory = measure(options.mib * MIB, options.rounds)
    curl, mine = statistics.median(theirs), statistics.median(ours)
    if options.markdown:
        print("| archive | curl | tinkex | tinkex / curl | extra memory |")
        print("| --- | --- | --- | --- | --- |")
        print(
            f"| {options.mib} MiB | {curl:.2f} s | {mine:.2f} s | {mine / curl:.2f} "
            f"| {memory:.1f} MiB |"
        )
    else:
        print(f"curl   {curl:.2f} s ({', '.join(f'{took:.2f}' for took in theirs)})")
        print(f"tinkex {mine:.2f} s ({', '.join(f'{took:.2f}' for took in ours)})")
        print(f"tinkex takes {mine / curl:.2f} times as long; {memory:.1f} MiB more memory")
    return 0 if memory < MOST_MEMORY_MIB else 1


if __name__ == "__main__":
    sys.exit(main())
