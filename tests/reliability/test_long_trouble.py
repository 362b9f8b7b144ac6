"""Outages of minutes, clocks that jump, and thousands of calls at once."""

from __future__ import annotations

import contextlib
import json
import os
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.calls import CAPABILITIES, STEP
from support.clock import FakeClock, StandingClock, set_wall_clock
from support.extent import extent
from support.scripted import Script, promises, scripted_service

import tinkex
from tinkex import ModelInput, RetryConfig, SamplingParams
from tinkex._core.retry import RetryBudget
from tinkex.errors import ServerError, TinkexError


@pytest.mark.holds("F44")
def test_all_calls_of_a_session_share_one_budget_in_an_outage(
    script: Script, clock: FakeClock
) -> None:
    """Reads, steps and samples that all fail repeat a hundred times together, not each."""
    script.on("POST create_model", {"model_id": "M"})
    script.on("POST create_sampling_session", {"sampling_session_id": "P"})
    with scripted_service(script, clock) as service:
        training = service.create_lora_training_client("base")
        sampler = service.create_sampling_client(
            base_model="base", retry_config=RetryConfig(deadline=1e6)
        )
        before = len(script.received)
        script.on(CAPABILITIES, 503).on(STEP, 503).on("POST asample", 503)
        calls_made = 0
        for _ in range(40):
            for call in (
                service.get_server_capabilities,
                training.optim_step,
                lambda: sampler.sample(
                    ModelInput.from_ints([1]), 1, SamplingParams(max_tokens=1)
                ).result(),
            ):
                calls_made += 1
                with pytest.raises(TinkexError):
                    call()
        sent = script.received[before:]
        # Heartbeats that are taken earn a token each.
        beats = sum("heartbeat" in got.route for got in sent)
    assert len(sent) - beats <= calls_made + (500 + beats) // RetryBudget.RETRY_COST


@pytest.mark.holds("F33")
@pytest.mark.parametrize("jump", [3600.0, -3600.0, 1e12])
def test_a_clock_that_is_set_changes_no_wait_of_a_session(
    script: Script, monkeypatch: pytest.MonkeyPatch, jump: float
) -> None:
    """Submits, polls and waits for a while: the same pauses as under a clock that stands."""

    def pauses(wall: Any) -> list[float]:
        clock = FakeClock()
        set_wall_clock(monkeypatch, wall)
        promises(script, STEP, 500, {"metrics": {}})
        script.on("POST create_model", {"model_id": "M"})
        script.on(
            "POST retrieve_future", 500, 408, (503, {}, {"retry-after": "3"}), {"metrics": {}}
        )
        with scripted_service(script, clock) as service:
            service.create_lora_training_client("base").optim_step().result(timeout=600)
        return clock.slept

    calm = pauses(lambda: 1_800_000_000.0)
    now = [1_800_000_000.0]

    def jumping() -> float:
        now[0] += random.choice([jump, -jump, 0.0])
        return max(0.0, now[0])

    assert pauses(jumping) == calm
    assert all(pause >= 0 for pause in calm)
    assert 3.0 in calm


COUNT = extent("FUTURES", 500, 5000)


class Samples(BaseHTTPRequestHandler):
    """Answer every sample at once, and whatever else a session asks."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["content-length"]))
        answer = {
            "create_session": {"session_id": "S"},
            "create_sampling_session": {"sampling_session_id": "P"},
            "asample": {"sequences": [{"stop_reason": "stop", "tokens": [7], "logprobs": [-1.0]}]},
        }.get(self.path.rpartition("/")[2], {})
        content = json.dumps(answer).encode()
        self.send_response(404 if "client" in self.path else 200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def sampling_server() -> Iterator[str]:
    class Server(ThreadingHTTPServer):
        # Room for all at once: else Linux answers with SYN cookies, which under load leave a connection here that
        # its client has closed.
        request_queue_size = 4096
        daemon_threads = True

    with Server(("127.0.0.1", 0), Samples) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


def open_sockets() -> set[str]:
    """Return the sockets of this process; other tests' servers have files open, too."""
    links = set()
    for name in os.listdir("/proc/self/fd"):  # noqa: PTH208
        with contextlib.suppress(OSError):
            links.add(os.readlink(f"/proc/self/fd/{name}"))  # noqa: PTH115
    return {link for link in links if link.startswith("socket:")}


def connections_of(sockets: set[str]) -> list[str]:
    """Return the addresses of both ends, and the state, of each of these sockets that has a connection."""
    lines = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    return [" ".join(at[1:4]) for at in lines if f"socket:[{at[9]}]" in sockets]


def our_threads() -> set[threading.Thread]:
    return {one for one in threading.enumerate() if one.name.startswith("tinkex-")}


@pytest.mark.holds("F43")
@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="counts files by /proc")
def test_thousands_of_futures_share_few_threads_and_leave_no_file() -> None:
    """All are answered; one thread does it; connections are bounded; closing gives all back."""
    with sampling_server() as url, tinkex.ServiceClient(base_url=url):
        pass  # from now on the event loop runs, and keeps a pair of sockets for the process
    before, others = open_sockets(), our_threads()
    with sampling_server() as url, tinkex.ServiceClient(base_url=url) as service:
        sampler = service.create_sampling_client(base_model="base")
        prompt, params = ModelInput.from_ints([1, 2]), SamplingParams(max_tokens=1)
        futures = [sampler.sample(prompt, 1, params) for _ in range(COUNT)]
        most_files = 0
        threads: set[threading.Thread] = set()
        for future in futures:
            assert future.result(300).sequences[0].tokens == [7]
            threads |= our_threads()
            most_files = max(most_files, len(open_sockets() - before))
        allowed = service.session.limits.samples_in_flight
    assert len(threads - others) <= 2, "the loop, and what callbacks run on"
    # A socket at either end for each sample under way, the caller's own, and the listening one.
    assert most_files <= 2 * allowed + 8
    # The server closes its ends in threads. Less than the 50 s after which idle connections close by themselves.
    until = time.monotonic() + 30
    while (left := open_sockets() - before) and time.monotonic() < until:
        threading.Event().wait(0.01)
    assert not left, connections_of(left)


@pytest.mark.holds("F30")
def test_a_process_that_stood_still_keeps_a_session_that_the_server_kept(
    script: Script, clock: FakeClock
) -> None:
    """After a minute without a heartbeat the next one is taken, and calls go on."""
    script.on("POST create_model", {"model_id": "M"})
    promises(script, STEP, {"metrics": {}})
    with scripted_service(script, clock) as service:
        training = service.create_lora_training_client("base")
        clock.run_until(lambda: bool(clock._deadlines), step=0)
        clock.advance(70)
        clock.run_until(lambda: service.session.heartbeat.late > 0, step=0)
        assert service.session.heartbeat.is_alive
        assert training.optim_step().result().metrics == {}


@pytest.mark.holds("F30")
def test_a_session_that_the_server_ended_meanwhile_is_told_by_the_next_call(
    script: Script, clock: FakeClock
) -> None:
    """The heartbeat finds out in its own thread; the user's thread hears it as an error of a call."""
    script.on("POST create_model", {"model_id": "M"}).on("POST session_heartbeat", 410)
    with scripted_service(script, clock) as service:
        training = service.create_lora_training_client("base")
        clock.run_until(lambda: not service.session.heartbeat.is_alive, step=60)
        with pytest.raises(tinkex.errors.SessionLostError, match="last checkpoint"):
            training.optim_step()


@pytest.mark.holds("F10")
def test_nothing_polls_on_after_a_future_failed(script: Script, clock: FakeClock) -> None:
    """Endless 500s end with the server's error, and not one request follows."""
    script.on("POST create_model", {"model_id": "M"}).on(STEP, {"request_id": "r"})
    script.on("POST retrieve_future", 500)
    with scripted_service(script, clock) as service:
        future = service.create_lora_training_client("base").optim_step()
        with pytest.raises(ServerError) as caught:
            future.result()
        asked = script.bodies("retrieve_future")
        clock.advance(600)
        assert script.bodies("retrieve_future") == asked
    assert len(caught.value.attempts) == sum(body["request_id"] == "r" for body in asked)
    # One poll for each step of the back-off: 0.5 s, 1 s, 2 s and so on up to 20 s, for five minutes.
    assert len(caught.value.attempts) <= 6 + 300 / 20 + 2


@pytest.mark.holds("F27")
def test_a_wait_that_gave_up_can_be_made_again(script: Script) -> None:
    """The error says what is known; the result is fetched all the same, and the next wait has it."""
    clock = StandingClock()
    script.on("POST create_model", {"model_id": "M"}).on(STEP, {"request_id": "r"})
    script.on("POST retrieve_future", 408)
    with scripted_service(script, clock) as service:
        future = service.create_lora_training_client("base").optim_step()
        clock.run_until(lambda: clock.slept != [], step=0.0)
        with pytest.raises(tinkex.errors.FutureTimeoutError, match=r"optim_step.*request_id=r"):
            future.result(timeout=0.05)
        polls = len(script.sent("retrieve_future"))
        with pytest.raises(tinkex.errors.FutureTimeoutError):
            future.result(timeout=0)
        assert len(script.sent("retrieve_future")) == polls, "a wait asks nothing itself"
        script.on("POST retrieve_future", {"metrics": {}})
        clock.advance(5)
        assert future.result(timeout=5).metrics == {}


@pytest.mark.holds("F60")
def test_a_machine_that_slept_an_hour_keeps_its_session_and_its_models(
    script: Script, clock: FakeClock
) -> None:
    """All deadlines of the hour pass at once: a poll, a heartbeat and a step go on as before."""
    script.on("POST create_model", {"model_id": "M"})
    script.on(STEP, {"request_id": "r"})
    polls: list[float] = []

    def poll(request: Any) -> Any:
        polls.append(clock.now())
        if len(polls) == 1:
            clock.advance(3600)
            raise httpx.ReadError("the connection is an hour old")
        return {"metrics": {}}

    script.on("POST retrieve_future", poll)
    with scripted_service(script, clock) as service:
        training = service.create_lora_training_client("base")
        assert training.optim_step().result(10).metrics == {}
        beats = len(script.sent("session_heartbeat"))
        clock.run_until(lambda: len(script.sent("session_heartbeat")) > beats)
        assert service.session.heartbeat.is_alive
        assert training.optim_step().result(10).metrics == {}
    assert [body["seq_id"] for body in script.bodies("optim_step")] == [1, 2]
    assert len(script.sent("create_session")) == len(script.sent("create_model")) == 1
