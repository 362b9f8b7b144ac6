"""What the end of a client, or of the process that made it, does to what is under way."""

from __future__ import annotations

import _thread
import json
import os
import queue
import subprocess
import textwrap
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import programs
from support.raw_server import GOOD, RawServer

from tinkex import ServiceClient
from tinkex._core import loop
from tinkex.errors import ClientClosedError

KEY = "tml-canary-0123456789"
FULL = b"HTTP/1.1 503 X\r\nretry-after: 100\r\ncontent-length: 0\r\n\r\n"


@pytest.fixture
def raw() -> Iterator[RawServer]:
    server = RawServer()
    yield server
    server.close()


def begun(call: Callable[[], Any]) -> tuple[threading.Thread, queue.SimpleQueue[Any]]:
    """Make a call in a thread; the queue gets its result or its error."""
    ends: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def run() -> None:
        try:
            ends.put(call())
        except Exception as error:
            ends.put(error)

    thread = threading.Thread(target=run)
    thread.start()
    return thread, ends


def test_closing_wakes_a_call_that_sleeps_between_two_attempts(raw: RawServer) -> None:
    """It does not sit out what the server asked it to wait, and makes no further attempt."""
    refused = threading.Event()

    def play(number: int, request: bytes) -> bytes:
        refused.set()
        return FULL

    raw.play = play
    service = ServiceClient(base_url=raw.url, api_key=KEY)
    thread, ends = begun(service.get_server_capabilities)
    assert refused.wait(10)
    service.close()
    error = ends.get(timeout=10)
    assert isinstance(error, ClientClosedError)
    assert "create a new ServiceClient" in str(error)
    assert len(raw.received) == 1
    thread.join(10)


@pytest.mark.parametrize("does_answer", [True, False])
def test_closing_does_not_wait_for_a_session_that_is_being_created(
    raw: RawServer, does_answer: bool
) -> None:
    """Whether the server asks for patience or is silent, close returns and the caller learns why."""
    asked, over = threading.Event(), threading.Event()

    def play(number: int, request: bytes) -> bytes | None:
        if b"create_session" not in request.partition(b" HTTP")[0]:
            return b"HTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n"
        asked.set()
        if does_answer:
            return FULL
        over.wait(30)
        return None

    raw.play = play
    service = ServiceClient(base_url=raw.url, api_key=KEY)
    thread, ends = begun(lambda: service.session)
    assert asked.wait(10)
    service.close()
    assert isinstance(ends.get(timeout=10), ClientClosedError)
    over.set()
    thread.join(10)


PROGRAM = """
import os, sys, tinkex
from tinkex.errors import ClientClosedError
service = tinkex.ServiceClient(base_url={url!r}, api_key={key!r})
training = service.create_lora_training_client("B")
future = training.optim_step()
service.get_server_capabilities()
if os.fork() == 0:
    for call in (
        service.get_server_capabilities, training.optim_step, future.result,
        lambda: tinkex.wait([future])[0].pop().result(),
        lambda: next(tinkex.as_completed([future])).result(),
    ):
        try:
            call()
        except ClientClosedError as error:
            print("fork" in str(error), "new ServiceClient" in str(error))
    service.close()
    with tinkex.ServiceClient(base_url={url!r}, api_key={key!r}) as new:
        print(new.create_lora_training_client("B").model_id, len(new.session.id))
    sys.stdout.flush()
    os._exit(0)
os.wait()
sys.stdin.readline()
print(future.result().metrics)
service.close()
"""


@pytest.mark.holds("F29")
@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_is_told_to_make_a_client_of_its_own_which_works(raw: RawServer) -> None:
    """Clients and futures of the parent raise instead of hanging; the parent's go on (F29)."""
    polled = threading.Event()
    results = {
        b"create_session": {"session_id": "S"},
        b"create_model": {"model_id": "M"},
        b"optim_step": {"request_id": "r"},
        b"retrieve_future": {"metrics": {"n": 1.0}},
    }

    def play(number: int, request: bytes) -> bytes:
        route = request.partition(b" HTTP")[0].rpartition(b"/")[2]
        if route == b"retrieve_future":
            assert polled.wait(60)
        if route == b"get_server_capabilities":
            return GOOD
        content = json.dumps(results.get(route, {})).encode()
        return b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(content), content)

    raw.play = play
    pipe = subprocess.PIPE
    program = programs.start(
        ["-c", textwrap.dedent(PROGRAM).format(url=raw.url, key=KEY)],
        stdin=pipe,
        stdout=pipe,
        stderr=pipe,
    )
    assert program.stdout is not None
    try:
        told = [program.stdout.readline() for _ in range(6)]
        polled.set()
        out, err = program.communicate("\n", timeout=60)
    finally:
        program.kill()
    assert told == ["True True\n"] * 5 + ["M 1\n"], err
    assert out == "{'n': 1.0}\n", err


def test_the_end_of_a_program_waits_for_foreign_threads_inside_of_python() -> None:
    """One that delivers a result while the interpreter finalizes would abort the process."""
    entered, leave, left = threading.Event(), threading.Event(), threading.Event()

    def deliver() -> None:
        entered.set()
        leave.wait(10)
        left.set()

    # Not by `threading`, which would know it.
    _thread.start_new_thread(deliver, ())
    assert entered.wait(10)
    waiting = threading.Thread(target=loop._wait_for_foreign_threads)
    waiting.start()
    assert not left.is_set()
    leave.set()
    waiting.join(10)
    assert not waiting.is_alive()
    assert left.is_set()
