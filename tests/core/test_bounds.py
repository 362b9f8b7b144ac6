"""What one exchange may take: time, memory, file descriptors, and no answer but its own."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import httpx
import pytest
from support import calls
from support.raw_server import GOOD, RawServer

from tinkex import ServiceClient
from tinkex._core import transport as transport_module
from tinkex._core.transport import Transport
from tinkex.config import Config
from tinkex.errors import DecodeError, FutureTimeoutError, ReadTimeoutError

MEBIBYTE = 1024**2


@pytest.fixture
def raw() -> Iterator[RawServer]:
    server = RawServer()
    yield server
    server.close()


@pytest.fixture
def own(raw: RawServer) -> Iterator[Transport]:
    """Return a transport with connections of its own; those of httpx, injected, are the user's."""
    config = Config.resolve(base_url=raw.url, environ={}, max_retries=0)
    with closing(Transport(config)) as transport:
        yield transport


@pytest.fixture(params=["own", "httpx"])
def transport(
    raw: RawServer, own: Transport, request: pytest.FixtureRequest
) -> Iterator[Transport]:
    if request.param == "own":
        yield own
        return
    with closing(Transport(own.config, http_transport=httpx.HTTPTransport())) as transport:
        yield transport


def answer(body: Any, *headers: str) -> bytes:
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    head = ["HTTP/1.1 200 OK", f"content-length: {len(content)}", *headers]
    return "\r\n".join(head).encode() + b"\r\n\r\n" + content


def dripping(body: bytes, over: threading.Event) -> Iterator[bytes]:
    """Send a response byte by byte, so that something comes all the time."""
    yield b"HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n\r\n"
    for byte in body.ljust(100_000):
        if over.wait(0.01):
            return
        yield bytes([byte])


# Time


def test_the_timeout_bounds_the_attempt_as_a_whole(raw: RawServer, transport: Transport) -> None:
    """An answer that drips is given up when the time is over, though something comes all the time."""
    over = threading.Event()
    raw.play = lambda number, request: dripping(b"{", over)
    began = time.monotonic()
    with pytest.raises(ReadTimeoutError, match=r"no complete response within 0\.2 s"):
        transport.send(calls.read(), timeout=0.2)
    assert time.monotonic() - began < 10
    over.set()


def test_a_wait_for_a_result_ends_on_time_though_its_poll_drips(raw: RawServer) -> None:
    """result(timeout=...) does not wait for the exchange that is under way."""
    over, polled = threading.Event(), threading.Event()

    def play(number: int, request: bytes) -> Any:
        route = request.partition(b" HTTP")[0].rpartition(b"/")[2]
        if route == b"retrieve_future":
            polled.set()
            return dripping(b"{", over)
        answers = {
            b"create_session": {"session_id": "S"},
            b"create_model": {"model_id": "M"},
            b"optim_step": {"request_id": "r"},
        }
        return answer(answers.get(route, {}))

    raw.play = play
    with ServiceClient(base_url=raw.url, api_key="tml-0123456789") as service:
        future = service.create_lora_training_client("B").optim_step()
        assert polled.wait(10)
        began = time.monotonic()
        with pytest.raises(FutureTimeoutError):
            future.result(timeout=0.1)
        assert time.monotonic() - began < 10
    over.set()


# Memory


@pytest.mark.parametrize("is_packed", [True, False])
def test_a_response_is_read_no_further_than_any_result_goes(
    raw: RawServer, transport: Transport, monkeypatch: pytest.MonkeyPatch, is_packed: bool
) -> None:
    """A few packed bytes may unfold into any number, and a broken server may send them plain."""
    monkeypatch.setattr(transport_module, "MOST_RESPONSE_BYTES", MEBIBYTE)
    body = b'{"supported_models": []}'.ljust(8 * MEBIBYTE)
    raw.play = lambda number, request: (
        answer(gzip.compress(body), "content-encoding: gzip") if is_packed else answer(body)
    )
    with pytest.raises(DecodeError, match="larger than 1 MiB decompressed"):
        transport.send(calls.read())
    body = b'{"supported_models": []}'.ljust(MEBIBYTE)
    assert len(transport.send(calls.read()).content) == MEBIBYTE


# No answer but its own


def test_an_answer_that_was_not_asked_for_reaches_no_call(raw: RawServer, own: Transport) -> None:
    """What a server sends beyond its answer is thrown away with its connection."""
    raw.play = lambda number, request: answer({"for": number}) + answer({"for": "nobody"})
    for number in range(1, 30):
        assert json.loads(own.send(calls.read()).content) == {"for": number}


def test_an_answer_that_comes_too_late_reaches_no_other_call(
    raw: RawServer, transport: Transport
) -> None:
    """The connection of a request that was given up is not used again."""
    late = threading.Event()

    def play(number: int, request: bytes) -> bytes:
        if number == 1:
            assert late.wait(10)
        return answer({"for": number})

    raw.play = play
    with pytest.raises(ReadTimeoutError):
        transport.send(calls.read(), timeout=0.05)
    late.set()
    for number in range(2, 10):
        assert json.loads(transport.send(calls.read()).content) == {"for": number}


# File descriptors


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit of open files")
@pytest.mark.parametrize("when", ["before the first call", "between two calls"])
@pytest.mark.parametrize("left", [0, 1, 3])
def test_for_want_of_file_descriptors_a_call_fails_with_a_typed_error(
    raw: RawServer, when: str, left: int
) -> None:
    """Nothing on the way of a failure opens a file, so that no bare OSError hides the reason."""
    raw.play = lambda number, request: GOOD
    raw.hang_up_after = True
    program = f"""
        import os, resource, tinkex
        resource.setrlimit(resource.RLIMIT_NOFILE, (200, 200))
        service = tinkex.ServiceClient(base_url={raw.url!r}, max_retries=1)
        if {when == "between two calls"}:
            service.get_server_capabilities()
        held = []
        try:
            while True:
                held.append(os.open(os.devnull, os.O_RDONLY))
        except OSError:
            for one in held[-{left}:] if {left} else ():
                os.close(one)
        try:
            service.get_server_capabilities()
        except tinkex.TinkexError as error:
            print("typed", error, flush=True)
        else:
            print("fine", flush=True)
        os._exit(0)
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.stdout.startswith(("typed", "fine")), done.stderr
    if left == 0:
        assert "oo many open files" in done.stdout
