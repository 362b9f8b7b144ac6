"""What servers do to connections, over both HTTP libraries alike."""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable

import pytest
from reliability.conftest import MakeTransport
from support import calls
from support.clock import FakeClock
from support.ports import unanswered_port
from support.raw_server import BODY, GOOD, RESET, RawServer
from tinkex_generated.types import Request

from tinkex._core.pyqwest_engine import IDLE_SECONDS, IDLE_SECONDS_CAREFUL
from tinkex.errors import ConnectError, ReadTimeoutError, TransportError

CUT = b"HTTP/1.1 200 OK\r\ncontent-length: 4096\r\n\r\n" + BODY


def without_count(request: bytes) -> bytes:
    """Return a request without what says which repetition it is."""
    return re.sub(rb"x-stainless-retry-count: \d+", b"", request)


@pytest.mark.holds("F1")
def test_nothing_at_the_address_is_told_after_three_logged_attempts(
    connect: MakeTransport, clock: FakeClock, caplog: pytest.LogCaptureFixture
) -> None:
    """The error names host and port and holds the history; it takes seconds, not minutes."""
    with (
        unanswered_port() as port,
        caplog.at_level(logging.WARNING, "tinkex"),
        pytest.raises(ConnectError, match=r"127\.0\.0\.1:\d+") as caught,
    ):
        connect(f"http://127.0.0.1:{port}").send(calls.read())
    assert f"127.0.0.1:{port}" in str(caught.value)
    assert len(caught.value.attempts) == 3
    assert len(caplog.records) == 2
    assert sum(clock.slept) <= 30


@pytest.mark.holds("F2")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_without_an_address_is_told_as_such(connect: MakeTransport, scheme: str) -> None:
    """The resolver fails, is asked three times at most, and the error says what to check."""
    # No resolver is asked about it: a label may have 63 characters.
    transport = connect(f"{scheme}://{'x' * 64}.invalid", allow_insecure=True)
    with pytest.raises(ConnectError, match=r"cannot resolve.*check the name") as caught:
        transport.send(calls.read())
    assert 1 <= len(caught.value.attempts) <= 3


@pytest.mark.holds("F3")
def test_a_server_that_never_answers_ends_each_attempt_and_then_the_call(
    raw: RawServer, connect: MakeTransport
) -> None:
    """The connection is taken, the request read, and nothing comes: time-out, repeat, error."""
    released = threading.Event()

    def hold(number: int, request: bytes) -> None:
        released.wait(30)

    raw.play = hold
    with pytest.raises(ReadTimeoutError, match="did not respond in time") as caught:
        connect(raw.url, timeout=0.3, max_retries=2).send(calls.step())
    released.set()
    assert len(caught.value.attempts) == 3
    assert len({without_count(request) for request in raw.received}) == 1


BREAKS = {
    "reset before the answer": RESET,
    "reset in the headers": b"HTTP/1.1 200 OK\r\ncont" + RESET,
    "reset in the body": CUT + RESET,
    "closed before the answer": None,
    "closed in the body": CUT,
}


@pytest.mark.holds("F4", "F5", "F6")
@pytest.mark.parametrize("name", BREAKS)
def test_a_numbered_write_is_repeated_in_the_same_bytes(
    raw: RawServer, connect: MakeTransport, name: str
) -> None:
    """Twice broken, then answered: number, key and body are the same each time."""
    raw.hang_up_after = True
    raw.play = lambda number, request: BREAKS[name] if number < 3 else GOOD
    assert connect(raw.url).send(calls.step(7)).content == BODY
    assert len(raw.received) == 3
    assert len({without_count(request) for request in raw.received}) == 1
    assert b"x-idempotency-key" in raw.received[0].lower()
    assert b'"seq_id":7' in raw.received[0]


@pytest.mark.holds("F4", "F5", "F6")
@pytest.mark.parametrize("name", BREAKS)
def test_a_write_that_cannot_be_recognised_is_not_repeated(
    raw: RawServer, connect: MakeTransport, name: str
) -> None:
    """It may have taken effect, and half an answer is none: an error, and one request."""
    raw.hang_up_after = True
    raw.play = lambda number, request: BREAKS[name]
    with pytest.raises(TransportError):
        connect(raw.url).send(calls.publish())
    assert len(raw.received) == 1


@pytest.mark.holds("F7")
def test_a_connection_that_was_closed_while_idle_costs_nothing(
    raw: RawServer, connect: MakeTransport, clock: FakeClock
) -> None:
    """The server hangs up after each answer; every call arrives once, over a new connection.

    A call that meets the hang-up halfway may go once more; the server has not read it then.
    """
    raw.hang_up_after = True
    transport = connect(raw.url)
    for number in range(1, 4):
        assert transport.send(calls.step(number)).content == BODY
        for thread in raw.threads[1:]:
            thread.join(5)
    assert len(raw.received) == 3
    assert len(clock.slept) <= 1


@pytest.mark.holds("F7")
def test_a_kept_connection_that_breaks_under_a_call_is_no_failure(
    raw: RawServer, connect: MakeTransport
) -> None:
    """The server hung up just as the request came: the same bytes go once more."""
    raw.play = lambda number, request: None if number == 2 else GOOD
    transport = connect(raw.url)
    transport.send(calls.step(1))
    assert transport.send(calls.step(2)).content == BODY
    assert without_count(raw.received[1]) == without_count(raw.received[2])


def test_idle_connections_are_left_before_common_servers_close_them() -> None:
    """After five seconds many do (uvicorn, Node); a request that must not be repeated risks no such end."""
    assert IDLE_SECONDS_CAREFUL < 5 < IDLE_SECONDS


@pytest.mark.holds("F7")
@pytest.mark.parametrize("carrier", ["pyqwest"], indirect=True)
@pytest.mark.parametrize(
    ("request_of", "connections"), [(calls.read, 1), (calls.step, 1), (calls.unkeyed, 3)]
)
def test_a_request_that_must_not_be_repeated_takes_no_connection_that_was_idle_long(
    raw: RawServer,
    monkeypatch: pytest.MonkeyPatch,
    connect: MakeTransport,
    request_of: Callable[[], Request],
    connections: int,
) -> None:
    """Where any time is too long for it, it opens a connection each time; what can be repeated keeps one."""
    monkeypatch.setattr("tinkex._core.pyqwest_engine.IDLE_SECONDS_CAREFUL", 1e-9)
    transport = connect(raw.url)
    for _ in range(3):
        transport.send(request_of())
    assert len(raw.received) == 3
    assert raw.connections == connections
