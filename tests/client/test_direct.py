"""Requests over real sockets: what servers do to connections, and what becomes of it."""

from __future__ import annotations

import gzip
import itertools
import socket
import ssl
import subprocess
import sys
import threading
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from support import calls
from support.certificates import need_openssl
from support.clock import FakeClock
from support.raw_server import BODY, GOOD, RawServer

from tinkex.config import Config
from tinkex.errors import (
    ClientClosedError,
    ConnectError,
    DecodeError,
    ReadTimeoutError,
    TLSError,
    TransportError,
)
from tinkex.transport import Transport
from tinkex.transport.direct import Direct
from tinkex.transport.http11 import MAX_HEAD

KEY = "tml-canary-0123456789"


@pytest.fixture
def server() -> Iterator[RawServer]:
    server = RawServer()
    yield server
    server.close()


@pytest.fixture
def direct(server: RawServer) -> Iterator[Transport]:
    transport = made(f"http://127.0.0.1:{server.port}/prefix")
    yield transport
    transport.close()


def made(base_url: str, **more: Any) -> Transport:
    settings = {"max_retries": 0, "api_key": KEY, **more}
    config = Config.resolve(base_url=base_url, environ={}, **settings)
    transport = Transport(config, clock=FakeClock(), jitter=lambda longest: longest)
    assert isinstance(transport._line.network, Direct)
    return transport


def test_calls_share_a_connection(server: RawServer, direct: Transport) -> None:
    """Requests carry what they should, once each, and the connection is kept (C19, F7)."""
    for _ in range(3):
        assert direct.send(calls.step()).content == BODY
    assert server.connections == 1
    head = server.received[0].lower()
    assert head.startswith(b"post /prefix/api/v1/optim_step http/1.1\r\n")
    for header in (b"host", b"x-api-key", b"x-idempotency-key", b"content-length", b"user-agent"):
        assert head.count(b"\r\n" + header + b":") == 1


@pytest.mark.holds("F7")
def test_a_connection_that_was_closed_while_idle_is_replaced(
    server: RawServer, direct: Transport
) -> None:
    """It is noticed before anything is sent, so that even an unkeyed write is safe (F7)."""
    server.hang_up_after = True
    for _ in range(3):
        assert direct.send(calls.publish(), accept=(200,)).status_code == 200
        for thread in server.threads[1:]:
            thread.join(5)
    assert server.connections == 3


@pytest.mark.holds("F7")
@pytest.mark.parametrize(("build", "is_sent_again"), [(calls.step, True), (calls.publish, False)])
def test_a_kept_connection_that_breaks_is_replaced_once_where_that_is_safe(
    server: RawServer, direct: Transport, build: Any, is_sent_again: bool
) -> None:
    """The server hung up as the request came: the same bytes go again, or an error is told (F7)."""
    server.play = lambda number, request: None if number == 2 else GOOD
    direct.send(calls.read())
    if is_sent_again:
        assert direct.send(build()).content == BODY
        assert server.received[1] == server.received[2]
    else:
        with pytest.raises(TransportError, match="without sending an answer"):
            direct.send(build())
        assert len(server.received) == 2


@pytest.mark.holds("F4")
def test_attempts_carry_the_same_bytes(server: RawServer) -> None:
    """Repetitions differ in their count alone (F4)."""
    busy = b"HTTP/1.1 503 Busy\r\ncontent-length: 0\r\n\r\n"
    server.play = lambda number, request: busy if number < 3 else GOOD
    transport = made(f"http://127.0.0.1:{server.port}", max_retries=3)
    transport.send(calls.step())
    transport.close()
    counts = [f"x-stainless-retry-count: {n}".encode() for n in range(3)]
    assert all(count in got for count, got in zip(counts, server.received, strict=True))
    same = {got.replace(count, b"") for count, got in zip(counts, server.received, strict=True)}
    assert len(same) == 1


CHUNKED = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\n%s\r\n%x;a=b\r\n%s\r\n0\r\nx: y\r\n\r\n"


def packed(encoding: str, body: bytes) -> bytes:
    head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\nContent-Length: {len(body)}\r\n\r\n"
    return head.encode() + body


bare = zlib.compressobj(wbits=-15)
ANSWERS = {
    "chunked": (CHUNKED % (BODY[:5], len(BODY) - 5, BODY[5:]), True),
    "gzip": (packed("gzip", gzip.compress(BODY)), True),
    "deflate": (packed("deflate", zlib.compress(BODY)), True),
    "bare deflate": (packed("deflate", bare.compress(BODY) + bare.flush()), True),
    "interim": (
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early Hints\r\nlink: x\r\n\r\n" + GOOD,
        True,
    ),
    "asked to close": (GOOD.replace(b"\r\n\r\n", b"\r\nConnection: Close\r\n\r\n", 1), False),
    "1.0": (GOOD.replace(b"1.1", b"1.0", 1), False),
    "1.0 kept": (GOOD.replace(b"1.1 200 OK", b"1.0 200 OK\r\nConnection: keep-alive", 1), True),
    "more than was said": (GOOD + b"HTTP/1.1 200 OK\r\n", False),
}


@pytest.mark.parametrize("name", ANSWERS)
def test_every_way_to_frame_an_answer_is_read(
    server: RawServer, direct: Transport, name: str
) -> None:
    """The body is whole and unpacked, and the connection is kept where that is right."""
    answer, is_kept = ANSWERS[name]
    server.play = lambda number, request: answer
    for _ in range(2):
        assert direct.send(calls.read()).content == BODY
    assert server.connections == (1 if is_kept else 2)


def test_an_answer_without_a_length_ends_with_the_connection(
    server: RawServer, direct: Transport
) -> None:
    """HTTP/1.0 servers say so that they are through."""
    server.hang_up_after = True
    server.play = lambda number, request: b"HTTP/1.0 200 OK\r\n\r\n" + BODY
    assert direct.send(calls.read()).content == BODY


BROKEN = {
    "cut body": b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n" + BODY,
    "cut chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n10\r\nabc",
    "no last chunk": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n",
    "cut head": b"HTTP/1.1 200 OK\r\ncontent-le",
    "two lengths": b"HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "negative length": b"HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n",
    "no chunk size": b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n",
    "unknown coding": b"HTTP/1.1 200 OK\r\ntransfer-encoding: gzip\r\n\r\n",
    "no header": b"HTTP/1.1 200 OK\r\nno header\r\n\r\n",
    "no HTTP": b"220 smtp.example.org ESMTP\r\n\r\n",
    "switched": b"HTTP/1.1 101 Switching Protocols\r\n\r\n",
    "endless head": b"HTTP/1.1 200 OK\r\nx: " + b"y" * (MAX_HEAD + 10),
    "endless interim": b"HTTP/1.1 100 Continue\r\n\r\n" * 100,
}


@pytest.mark.holds("F5", "F6", "S3")
@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_whole_answer_is_a_transport_error(
    server: RawServer, direct: Transport, name: str
) -> None:
    """Half an answer is none, and nothing secret is told with it (F8, S3)."""
    server.hang_up_after = True
    server.play = lambda number, request: BROKEN[name]
    with pytest.raises(TransportError, match="broke") as caught:
        direct.send(calls.read())
    assert "canary" not in f"{caught.value!r} {vars(caught.value)}"
    assert caught.value.__context__ is None


@pytest.mark.parametrize("body", [b"no gzip", gzip.compress(BODY)[:-9]])
def test_a_body_that_cannot_be_unpacked_is_a_decode_error(
    server: RawServer, direct: Transport, body: bytes
) -> None:
    """Neither a wrong nor a truncated body is taken for an answer."""
    server.play = lambda number, request: packed("gzip", body)
    with pytest.raises(DecodeError, match="cannot be decompressed"):
        direct.send(calls.read())


def test_any_split_of_an_answer_is_read_the_same() -> None:
    """How the network cuts the bytes changes nothing."""
    from tinkex.transport.http11 import AnswerReader

    for answer, _ in ANSWERS.values():
        for cut, step in itertools.product(range(0, 40, 7), (1, 3, 64)):
            reader = AnswerReader("GET")
            for at in range(cut, len(answer), step):
                if not reader.is_complete:
                    reader.feed(
                        answer[:cut] + answer[at : at + step]
                        if at == cut
                        else answer[at : at + step]
                    )
            assert reader.is_complete
            assert reader.status == 200


@pytest.mark.holds("F3")
def test_an_answer_that_does_not_come_is_a_read_timeout(
    server: RawServer, direct: Transport
) -> None:
    """The attempt ends when its time is over."""
    released = threading.Event()

    def hold(number: int, request: bytes) -> None:
        released.wait(5)

    server.play = hold
    with pytest.raises(ReadTimeoutError, match="did not answer in time"):
        direct.send(calls.read(), timeout=0.05)
    released.set()


@pytest.mark.holds("F1")
def test_nobody_at_the_address_is_a_connect_error(server: RawServer) -> None:
    """A refused connection is told as such."""
    with socket.create_server(("127.0.0.1", 0)) as unused:
        port = unused.getsockname()[1]
    with pytest.raises(ConnectError, match="cannot connect"):
        made(f"http://127.0.0.1:{port}").send(calls.read())


def test_closing_ends_a_call_of_another_thread(server: RawServer, direct: Transport) -> None:
    """The call says that the client was closed, and does not wait for its time-out."""
    released = threading.Event()

    def close(number: int, request: bytes) -> None:
        direct.close()
        released.wait(5)

    server.play = close
    with pytest.raises(ClientClosedError):
        direct.send(calls.read())
    released.set()


@pytest.mark.holds("S16")
def test_a_header_that_would_begin_another_is_not_sent(
    server: RawServer, direct: Transport
) -> None:
    """A line end in a value is refused without showing the value."""
    with pytest.raises(TransportError, match="cannot be sent") as caught:
        direct.send(calls.read(), headers={"X-Auth": "canary\r\nEvil: 1"})
    assert "canary" not in str(caught.value)
    assert server.received == []


def test_a_large_body_arrives_whole(server: RawServer, direct: Transport) -> None:
    """A body of some megabytes needs many writes."""
    from attrs import evolve

    content = bytes(range(256)) * 20_000
    direct.send(evolve(calls.step(), body=None, content=content))
    assert server.received[0].endswith(b"\r\n" + content)


def test_a_stream_is_read_while_it_comes(server: RawServer, direct: Transport) -> None:
    """All bytes come, and an error status is a typed error."""
    server.play = lambda number, request: ANSWERS["chunked"][0]
    with direct.stream(calls.read()) as stream:
        assert b"".join(stream.iter_bytes()) == BODY
    server.play = lambda number, request: BROKEN["cut chunk"]
    server.hang_up_after = True
    with pytest.raises(TransportError, match="broke"), direct.stream(calls.read()) as stream:
        stream.read()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    need_openssl()
    path = tmp_path_factory.mktemp("tls") / "all.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost",
         "-keyout", "-", "-out", "-"],
        capture_output=True, check=True,
    )  # fmt: skip
    path.write_bytes(made.stdout)
    return path


@pytest.mark.holds("F42")
@pytest.mark.parametrize(
    ("host", "trusted", "error"),
    [
        ("localhost", True, None),
        ("localhost", False, "self-signed"),
        ("127.0.0.1", True, "IP address"),
    ],
)
def test_certificates_are_checked(
    certificate: Path, host: str, trusted: bool, error: str | None
) -> None:
    """The right host with a trusted certificate, and nothing else, gets a request (F42)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server = RawServer(context)
    more: dict[str, Any] = {"verify": certificate} if trusted else {}
    transport = made(f"https://{host}:{server.port}", **more)
    try:
        if error is None:
            assert [transport.send(calls.read()).content for _ in range(2)] == [BODY, BODY]
            assert server.connections == 1
        else:
            with pytest.raises(TLSError, match=error):
                transport.send(calls.read())
            assert server.received == []
    finally:
        transport.close()
        server.close()


@pytest.mark.holds("F41")
@pytest.mark.parametrize(
    ("variables", "is_direct"),
    [
        ({}, True),
        ({"HTTPS_PROXY": "http://p:1"}, False),
        ({"all_proxy": "http://p:1"}, False),
        ({"HTTP_PROXY": "http://p:1"}, True),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "x.org,example.org"}, True),
        ({"HTTPS_PROXY": "http://p:1", "NO_PROXY": "ple.org"}, False),
    ],
)
def test_a_proxy_of_the_environment_is_left_to_httpx(
    monkeypatch, variables: dict[str, str], is_direct: bool
) -> None:
    """A proxy for this URL is used, and no other (F41)."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    transport = Transport(
        Config.resolve(base_url="https://api.example.org", api_key=KEY, environ={})
    )
    assert isinstance(transport._line.network, Direct) == is_direct
    transport.close()


def test_httpx_is_loaded_only_where_it_carries_requests() -> None:
    """An ordinary client neither waits for it nor for asyncio."""
    code = (
        "import sys; from tinkex import Config; from tinkex.transport import Transport\n"
        "Transport(Config.resolve(base_url='http://127.0.0.1:9', environ={})).close()\n"
        "print({'httpx', 'asyncio', 'backoff', 'ssl'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
