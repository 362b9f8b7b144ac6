"""Servers that hold what is waited for, drip, flood, or are left while they do."""

from __future__ import annotations

import gzip
import json
import socket
import socketserver
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from concurrent.futures import wait
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from reliability.conftest import MakeTransport
from reliability.test_long_trouble import sampling_server
from support import calls
from support.calls import STEP
from support.clock import StandingClock
from support.raw_server import RawServer
from support.scripted import Script, scripted_service

import tinkex
from tinkex import ModelInput, SamplingParams
from tinkex.errors import ClientClosedError, DecodeError, FutureTimeoutError, ReadTimeoutError

HELD = 150
SAMPLE = {"sequences": [{"stop_reason": "stop", "tokens": [7], "logprobs": [-1.0]}]}


class HoldingServer(ThreadingHTTPServer):
    """Promise samples, and hold each poll until the polls of all are here."""

    request_queue_size = 256
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Holding)
        self.lock = threading.Lock()
        self.promised = 0
        self.polls: list[str] = []
        self.all_here = threading.Event()
        self.threads: list[str] = []


class Holding(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: HoldingServer

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        name = self.path.rpartition("/")[2]
        answer: Any = {
            "create_session": {"session_id": "S"},
            "create_sampling_session": {"sampling_session_id": "P"},
        }.get(name, {})
        if name == "asample":
            with self.server.lock:
                self.server.promised += 1
                answer = {"request_id": f"r-{self.server.promised}"}
        if name == "retrieve_future":
            answer = self._held(body["request_id"])
        content = json.dumps(answer).encode()
        self.send_response(404 if "client" in self.path else 200)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def _held(self, request_id: str) -> Any:
        server = self.server
        with server.lock:
            server.polls.append(request_id)
            if len(server.polls) == HELD:
                server.threads = [one.name for one in threading.enumerate()]
                server.all_here.set()
        server.all_here.wait(30)
        return SAMPLE

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def holding_server() -> Iterator[HoldingServer]:
    with HoldingServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.all_here.set()
        server.shutdown()
        thread.join()


@pytest.mark.holds("F46")
def test_the_polls_of_all_samples_are_held_at_the_same_time() -> None:
    """None waits for another's, none is cut and made again, and one thread carries them all."""
    with holding_server() as server:
        url = f"http://127.0.0.1:{server.server_port}"
        with tinkex.ServiceClient(base_url=url) as service:
            sampler = service.create_sampling_client(base_model="base")
            futures = [
                sampler.sample(ModelInput.from_ints([n]), 1, SamplingParams(max_tokens=1))
                for n in range(HELD)
            ]
            for future in futures:
                assert future.result(60).sequences[0].tokens == [7]
    assert sorted(server.polls) == sorted(f"r-{n}" for n in range(1, HELD + 1))
    # Local servers of other tests, and transports that they injected, keep theirs.
    ours = [name for name in server.threads if name.startswith("tinkex-")]
    ours = [name for name in ours if "local" not in name and "injected" not in name]
    assert len(ours) <= 2, server.threads


# Closed


@pytest.mark.holds("F48")
def test_closing_a_client_fails_all_that_wait_for_it(script: Script) -> None:
    """A result that is waited for, one with a callback, one in `wait` and one without a waiter."""
    clock = StandingClock()
    script.on("POST create_model", {"model_id": "M"}).on(STEP, {"request_id": "r"})
    script.on("POST retrieve_future", 408)
    called = threading.Event()
    with scripted_service(script, clock) as service:
        training = service.create_lora_training_client("base")
        futures = [training.optim_step() for _ in range(3)]
        futures[0].add_done_callback(lambda _: called.set())
        clock.run_until(lambda: len(clock.slept) >= 3, step=0.0)
        closer = threading.Thread(target=service.close)
        closer.start()
        done, pending = wait(futures, timeout=10)
        closer.join()
    assert (len(done), pending) == (3, set())
    assert called.wait(10)
    for future in futures:
        with pytest.raises(ClientClosedError):
            future.result(10)


@pytest.mark.holds("F48")
def test_closing_wakes_a_caller_between_two_attempts(script: Script) -> None:
    """A call that waits for its next attempt ends at once, with the clock standing."""
    clock = StandingClock()
    script.on(calls.CAPABILITIES, 503)
    with scripted_service(script, clock) as service:
        clock.slept.clear()
        closer = threading.Thread(
            target=lambda: (clock.run_until(lambda: clock.slept != [], step=0.0), service.close())
        )
        closer.start()
        with pytest.raises(ClientClosedError):
            service.get_server_capabilities()
        closer.join()


# Drips


class Dripping(socketserver.BaseRequestHandler):
    """Send a response a byte at a time, without an end."""

    server: DrippingServer

    def handle(self) -> None:
        self.request.recv(65536)
        try:
            self.request.sendall(self.server.start)
            while not self.server.stopped.wait(0.02):
                self.request.sendall(self.server.drip)
        except OSError:
            return


class DrippingServer(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, start: bytes, drip: bytes) -> None:
        super().__init__(("127.0.0.1", 0), Dripping)
        self.start, self.drip = start, drip
        self.stopped = threading.Event()


@contextmanager
def dripping_server(start: bytes, drip: bytes) -> Iterator[str]:
    with DrippingServer(start, drip) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.stopped.set()
        server.shutdown()
        thread.join()


HEAD = b"HTTP/1.1 200 OK\r\n"
DRIPS = {
    "in the head": (HEAD + b"x-slow: ", b"y"),
    "between headers": (HEAD, b"x-a: b\r\n"),
    "in the body": (HEAD + b"content-length: 100000\r\n\r\n", b" "),
    "in chunks": (HEAD + b"transfer-encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
    "in the trailers": (HEAD + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\n0\r\n", b"x-a: b\r\n"),
}


@pytest.mark.holds("F49")
@pytest.mark.parametrize("where", DRIPS)
def test_a_response_that_drips_ends_with_its_attempt(connect: MakeTransport, where: str) -> None:
    """`timeout` bounds the attempt as a whole: a byte now and then does not renew it."""
    with dripping_server(*DRIPS[where]) as url:
        transport = connect(url, timeout=0.4, max_retries=0)
        began = time.monotonic()
        with pytest.raises(ReadTimeoutError):
            transport.send(calls.read())
        assert time.monotonic() - began < 5, "the drips come indefinitely"
        transport.close()


@pytest.mark.holds("F49")
def test_a_wait_is_on_time_whatever_drips(script: Script) -> None:
    """`result(timeout)` comes back while the poll behind it still drips."""
    release = threading.Event()
    script.on("POST create_model", {"model_id": "M"}).on(STEP, {"request_id": "r"})

    def drip(request: Any) -> Any:
        release.wait(30)
        return {"metrics": {}}

    script.on("POST retrieve_future", drip)
    with scripted_service(script) as service:
        future = service.create_lora_training_client("base").optim_step()
        with pytest.raises(FutureTimeoutError):
            future.result(timeout=0.1)
        release.set()
        assert future.result(10).metrics == {}


# Floods

MEBIBYTE = 1024**2


@pytest.mark.holds("F50")
@pytest.mark.parametrize("form", ["plain", "chunked", "packed"])
def test_a_response_beyond_its_bound_is_refused(
    raw: RawServer, connect: MakeTransport, form: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Counted unpacked, as it comes: the error names the bound, and what was read is dropped."""
    monkeypatch.setattr("tinkex._core.transport.MOST_RESPONSE_BYTES", MEBIBYTE)
    body = b" " * (4 * MEBIBYTE)
    head = b"HTTP/1.1 200 OK\r\n"
    if form == "packed":
        body = gzip.compress(b" " * (64 * MEBIBYTE))
        head += b"content-encoding: gzip\r\n"
        assert len(body) < MEBIBYTE
    if form == "chunked":
        head += b"transfer-encoding: chunked\r\n"
        body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    else:
        head += b"content-length: %d\r\n" % len(body)
    raw.play = lambda number, request: head + b"\r\n" + body
    with pytest.raises(DecodeError, match="larger than 1 MiB"):
        connect(raw.url).send(calls.read())
    assert len(raw.received) == 1, "it would be as large another time"


# Few descriptors


@pytest.mark.holds("F64")
@pytest.mark.skipif(not hasattr(socket, "AF_UNIX"), reason="limits of open files are of Unix")
def test_a_thousand_samples_fit_through_few_descriptors() -> None:
    """With 64 open files at most the samples take turns; none fails for want of one."""
    program = """
        import resource, sys
        import tinkex
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
        with tinkex.ServiceClient(base_url=sys.argv[1]) as service:
            sampler = service.create_sampling_client(base_model="base")
            params = tinkex.SamplingParams(max_tokens=1)
            futures = [sampler.sample(tinkex.ModelInput.from_ints([n]), 1, params) for n in range(1000)]
            print(sum(len(future.result(120).sequences) for future in futures))
        """
    with sampling_server() as url:
        done = subprocess.run(
            [sys.executable, "-c", textwrap.dedent(program), url],
            capture_output=True, text=True, check=False, timeout=120,
        )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, "1000\n"), done.stderr
