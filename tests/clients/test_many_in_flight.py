"""Two thousand samples at once, each request 80 ms away: few threads, bounded memory, no leak."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest
from support.extent import extent
from support.nano import NANO

from tinkex import ModelInput, SamplingParams, ServiceClient
from tinkex.local import LocalServer

COUNT = extent("FUTURES", 300, 2000)
# The loop, and the one that callbacks run on; the server in this process has others.
OURS = ("tinkex-loop", "tinkex-callbacks")


def client_threads() -> int:
    return sum(thread.name.startswith(OURS) for thread in threading.enumerate())


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))  # noqa: PTH208 - only counted


@pytest.mark.holds("F43", "F46")
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts files by /proc")
def test_many_samples_in_flight_need_few_threads_and_leave_nothing(tmp_path: Path) -> None:
    """All are answered in any order; threads, sockets and places are bounded and come back (F43)."""
    with LocalServer(data_dir=tmp_path, latency=0.08) as server:
        before = open_files()
        with ServiceClient(base_url=server.base_url) as service:
            sampler = service.create_sampling_client(base_model=NANO)
            params = SamplingParams(max_tokens=1, temperature=0.0)
            most_threads = most_files = most_taken = 0
            futures = [
                sampler.sample(ModelInput.from_ints([1 + index % 50]), 1, params)
                for index in range(COUNT)
            ]
            limiter = service.session.limiter
            for future in futures:
                assert len(future.result(300).sequences[0].tokens) == 1
                most_threads = max(most_threads, client_threads())
                most_files = max(most_files, open_files())
                most_taken = max(most_taken, limiter.in_flight.taken)
            allowed = service.session.limits.samples_in_flight
            assert most_taken <= allowed
            assert limiter.in_flight.taken == 0
        assert most_threads <= 2
        # A socket at either end for each sample that the server works on, of a limit that it knows.
        assert most_files - before <= 2 * allowed + 16
        same = {tuple(future.result().sequences[0].tokens) for future in futures[::50]}
        assert len(same) == 1
