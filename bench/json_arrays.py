"""Measure reading a response of log probabilities from JSON beside orjson with numpy, in turn.

    python bench/json_arrays.py [--datums 128] [--length 2048] [--repeat 9] [--markdown]

Both end in one float32 array for each datum. Below one, tinkex needs less. CPU time is the least of the
repetitions; peak memory is that of a fresh process for each, less what it had before reading.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import orjson

from tinkex._core.wire.decode import forward_backward_output
from tinkex._core.wire.json_arrays import load_with_arrays

MEBI = 2**20


def answer(datums: int, length: int) -> bytes:
    """Return what a server says of a batch: float32 logprobs for each token of each datum."""
    rng = np.random.default_rng(0)
    outputs = [
        {"logprobs": {"data": row, "dtype": "float32", "shape": [length]}}
        for row in -rng.exponential(size=(datums, length)).astype(np.float32)
    ]
    body = {"loss_fn_output_type": "ArrayRecord", "loss_fn_outputs": outputs, "metrics": {}}
    return orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)


def ours(content: bytes) -> list[np.ndarray]:
    """Read as the clients do."""
    result = forward_backward_output(load_with_arrays(content))
    return [output["logprobs"].numpy() for output in result.loss_fn_outputs]


def plain(content: bytes) -> list[np.ndarray]:
    """Read as anybody would."""
    body = orjson.loads(content)
    return [
        np.array(output["logprobs"]["data"], np.float32).reshape(output["logprobs"]["shape"])
        for output in body["loss_fn_outputs"]
    ]


READERS: dict[str, Callable[[bytes], list[np.ndarray]]] = {"tinkex": ours, "orjson, numpy": plain}


def cpu(read: Callable[[bytes], list[np.ndarray]], content: bytes) -> float:
    """Return the CPU seconds of one reading."""
    start = time.process_time()
    read(content)
    return time.process_time() - start


def peak(name: str, content: bytes) -> float:
    """Return the MiB that one reading adds to the peak of a fresh process."""
    with tempfile.NamedTemporaryFile() as file:
        # By a file: making the response takes more memory than reading it, and a peak stays.
        Path(file.name).write_bytes(content)
        script = [sys.executable, __file__, "--peak-of", name, file.name]
        return float(subprocess.check_output(script, text=True))


def print_peak(name: str, file: str) -> None:
    """Read the response in a file and print the MiB by which the peak rose."""
    for read in READERS.values():  # what either imports is not what reading costs
        read(answer(2, 600))
    content = Path(file).read_bytes()
    before = high_water()
    READERS[name](content)
    print((high_water() - before) / MEBI)


def high_water() -> int:
    """Return the most bytes that this process held at once; getrusage would count its parent's too."""
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) * 1024


def main() -> None:
    """Measure and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datums", type=int, default=128)
    parser.add_argument("--length", type=int, default=2048)
    parser.add_argument("--repeat", type=int, default=9)
    parser.add_argument("--markdown", action="store_true", help="the same; the table is Markdown")
    parser.add_argument("--peak-of", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.peak_of:
        print_peak(*options.peak_of)
        return
    content = answer(options.datums, options.length)
    for ours_row, plain_row in zip(ours(content), plain(content), strict=True):
        assert np.array_equal(ours_row, plain_row)
    seconds = {name: float("inf") for name in READERS}
    for _ in range(options.repeat):
        for name, read in READERS.items():
            seconds[name] = min(seconds[name], cpu(read, content))
    peaks = {name: peak(name, content) for name in READERS}
    print(
        f"{options.datums} datums of {options.length} float32 logprobs, {len(content) / MEBI:.1f} MiB.\n"
    )
    print("| reading | tinkex | orjson, numpy | ratio |\n|---|---|---|---|")
    for what, unit, reading, scale in (
        ("CPU", "ms", seconds, 1e3),
        ("peak memory", "MiB", peaks, 1),
    ):
        mine, theirs = reading["tinkex"] * scale, reading["orjson, numpy"] * scale
        print(f"| {what} | {mine:.1f} {unit} | {theirs:.1f} {unit} | {mine / theirs:.2f} |")


if __name__ == "__main__":
    main()
