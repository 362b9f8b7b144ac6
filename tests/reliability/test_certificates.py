"""TLS with certificates made for the test: who is believed, and who is not."""

from __future__ import annotations

import logging
import os
import socketserver
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from reliability.conftest import MakeTransport
from support import calls
from support.certificates import Authority, server_context
from support.raw_server import BODY, RawServer

from tinkex._core.httpx_engine import HttpxEngine
from tinkex._core.transport import Transport
from tinkex.errors import ConfigurationError, ConnectError, TLSError, TransportError

Serve = Callable[..., RawServer]


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def no_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def serve(authority: Authority) -> Iterator[Serve]:
    made: list[RawServer] = []

    def serve(certificate: Path, **tls: Path) -> RawServer:
        made.append(RawServer(server_context(certificate, **tls)))
        return made[-1]

    yield serve
    for server in made:
        server.close()


def url(server: RawServer, host: str = "localhost") -> str:
    return f"https://{host}:{server.port}"


def asked(transport: Transport) -> bytes:
    return transport.send(calls.read()).content


@pytest.mark.holds("F42")
@pytest.mark.parametrize(
    "by", ["argument", "TINKEX_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR", "two folders"]
)
def test_an_authority_of_ones_own_is_believed(
    connect: MakeTransport, serve: Serve, authority: Authority, by: str, monkeypatch
) -> None:
    """By argument or by variable, as a file, as a folder, or as one of several folders."""
    server = serve(authority.sign("good"))
    settings = {}
    if by == "argument":
        settings["verify"] = authority.bundle
    elif by == "TINKEX_CA_BUNDLE":
        settings["environ"] = {by: str(authority.bundle)}
    elif by == "two folders":
        folder = authority.as_folder()
        (folder / "README").write_text("What is no certificate is no mistake.", encoding="utf-8")
        monkeypatch.setenv("SSL_CERT_DIR", os.pathsep.join([str(folder / "missing"), str(folder)]))
    else:
        monkeypatch.setenv(
            by, str(authority.bundle if by == "SSL_CERT_FILE" else authority.as_folder())
        )
    assert asked(connect(url(server), **settings)) == BODY


@pytest.mark.holds("F42")
@pytest.mark.parametrize(
    ("name", "signing", "asked_for", "error"),
    [
        ("other", {"host": "elsewhere.example.org"}, "localhost", "mismatch|not valid for name"),
        ("late", {"days": -1}, "localhost", "expired"),
        ("numbered", {}, "127.0.0.1", "mismatch|IP address|not valid for name"),
    ],
)
def test_a_certificate_that_does_not_fit_is_refused(
    connect: MakeTransport,
    serve: Serve,
    authority: Authority,
    name: str,
    signing: dict,
    asked_for: str,
    error: str,
) -> None:
    """For another host, out of date, or for a name where an address was asked for: no request."""
    server = serve(authority.sign(name, **signing))
    transport = connect(url(server, asked_for), verify=authority.bundle)
    with pytest.raises(TLSError, match=error) as caught:
        asked(transport)
    assert "verify=" in str(caught.value)
    assert server.received == []
    # OpenSSL has the last word where an authority was named; more often it is not tried.
    assert server.connections <= 2, "what will not pass is not tried again"


@pytest.mark.holds("F42")
def test_an_unknown_authority_is_refused(
    connect: MakeTransport, serve: Serve, authority: Authority
) -> None:
    """Without a word from the user only the well-known authorities count."""
    server = serve(authority.sign("unknown"))
    with pytest.raises(TLSError, match="verify=") as caught:
        asked(connect(url(server)))
    assert "self-signed" in str(caught.value) or "unable to get local issuer" in str(caught.value)
    assert server.received == []


@pytest.mark.holds("F42")
def test_nothing_is_checked_only_where_the_argument_says_so(
    connect: MakeTransport, serve: Serve, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    """verify=False takes any certificate, and a warning says what that means."""
    server = serve(authority.sign("any", host="elsewhere.example.org"))
    with caplog.at_level(logging.WARNING, "tinkex"):
        assert asked(connect(url(server), verify=False)) == BODY
    assert "certificates are not checked" in caplog.text


@pytest.mark.holds("F42")
def test_a_server_without_tls_is_not_asked_in_plain(connect: MakeTransport) -> None:
    """An https URL never becomes http: what answers in plain gets no request."""
    got = []

    class Plain(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            got.append(self.request.recv(4096))
            self.request.sendall(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Plain) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        with pytest.raises(ConnectError, match="does not speak TLS; is it an http://") as caught:
            asked(connect(f"https://localhost:{server.server_address[1]}", max_retries=0))
        server.shutdown()
        thread.join()
    assert got
    assert "certificate" not in str(caught.value)
    assert not [data for data in got if b"HTTP" in data or b"tml-" in data]


@pytest.mark.holds("F42")
@pytest.mark.parametrize("name", ["SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_a_variable_that_names_no_certificates_is_told(
    connect: MakeTransport, tmp_path: Path, name: str, monkeypatch
) -> None:
    """A file that is not there is a mistake in the settings; an empty folder believes nobody."""
    monkeypatch.setenv(name, str(tmp_path / "missing.pem"))
    if name == "SSL_CERT_FILE":
        with pytest.raises(ConfigurationError, match="SSL_CERT_FILE"):
            connect("https://localhost:1")
    else:
        connect("https://localhost:1")


@pytest.mark.holds("F42")
def test_a_self_signed_certificate_that_was_named_is_believed(
    connect: MakeTransport, serve: Serve, authority: Authority
) -> None:
    """It is its own authority, which rustls refuses and OpenSSL takes; the transport stays with OpenSSL."""
    both, alone = authority.self_signed("alone")
    server = serve(both)
    transport = connect(url(server), verify=alone)
    assert asked(transport) == BODY
    first = server.connections
    assert asked(transport) == BODY
    assert server.connections == first + 1, "pyqwest is not asked again"


@pytest.mark.holds("F42")
def test_requests_that_are_refused_together_share_one_second_engine(
    connect: MakeTransport, serve: Serve, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight first requests at once: each is answered, and OpenSSL is set up once."""
    both, alone = authority.self_signed("together")
    transport = connect(url(serve(both)), verify=alone)
    made: list[object] = []
    begin = HttpxEngine.__init__

    def count(self: HttpxEngine, *arguments: object) -> None:
        made.append(self)
        begin(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(HttpxEngine, "__init__", count)
    with ThreadPoolExecutor(8) as threads:
        assert list(threads.map(lambda _: asked(transport), range(8))) == [BODY] * 8
    assert len(made) <= 1


@pytest.mark.holds("F42")
def test_a_self_signed_certificate_that_was_not_named_is_refused(
    connect: MakeTransport, serve: Serve, authority: Authority
) -> None:
    """Another self-signed one was: no engine takes it, and no request is sent."""
    both, _ = authority.self_signed("first")
    _, other = authority.self_signed("second")
    server = serve(both)
    with pytest.raises(TLSError, match="verify="):
        asked(connect(url(server), verify=other))
    assert server.received == []


@pytest.mark.holds("F42")
@pytest.mark.parametrize("by", ["one file", "two files", "variables"])
def test_a_server_that_asks_who_we_are_is_shown_the_clients_certificate(
    connect: MakeTransport, serve: Serve, authority: Authority, by: str, tmp_path: Path
) -> None:
    """Certificate and key in one PEM file or in two, by argument or by variable."""
    both = authority.sign(f"client-{by.replace(' ', '-')}")
    certificate, key = both.with_suffix(".crt"), both.with_suffix(".key")
    settings: dict[str, object] = {"client_cert": both}
    if by == "two files":
        settings = {"client_cert": certificate, "client_key": key}
    if by == "variables":
        named = {"TINKEX_CLIENT_CERT": str(certificate), "TINKEX_CLIENT_KEY": str(key)}
        settings = {"environ": named}
    server = serve(authority.sign("asking"), clients_of=authority.bundle)
    assert asked(connect(url(server), verify=authority.bundle, **settings)) == BODY


@pytest.mark.holds("F42")
def test_a_server_that_is_not_shown_a_certificate_refuses_with_an_error_of_tinkex(
    connect: MakeTransport, serve: Serve, authority: Authority
) -> None:
    """The alert may come after the handshake; the error names the setting, and no request arrives."""
    server = serve(authority.sign("asking-in-vain"), clients_of=authority.bundle)
    with pytest.raises(TLSError, match="client_cert=") as caught:
        asked(connect(url(server), verify=authority.bundle))
    assert not caught.value.attempts[1:], "it will not be another time"
    assert server.received == []


def pem(label: str) -> str:
    return f"-----BEGIN {label}-----\nAAAA\n-----END {label}-----\n"


@pytest.mark.parametrize(
    ("content", "error"),
    [
        ("no PEM", "client_cert: .* has no PEM"),
        (pem("CERTIFICATE"), "no PEM block of a private key"),
        (pem("CERTIFICATE") + pem("ENCRYPTED PRIVATE KEY"), "encrypted key"),
        (pem("CERTIFICATE") + pem("PRIVATE KEY"), "client_cert and client_key must be"),
    ],
)
def test_a_client_certificate_that_cannot_be_used_is_a_configuration_error(
    connect: MakeTransport, tmp_path: Path, content: str, error: str
) -> None:
    """It says which setting it is, and no password is asked for."""
    file = tmp_path / "client.pem"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError, match=error):
        connect("https://localhost:1", client_cert=file)


def test_a_key_needs_its_certificate(connect: MakeTransport, tmp_path: Path) -> None:
    """A key alone proves nothing."""
    file = tmp_path / "client.key"
    file.write_text("-----BEGIN PRIVATE KEY-----", encoding="utf-8")
    with pytest.raises(ConfigurationError, match="client_key needs client_cert"):
        connect("https://localhost:1", client_key=file)


@pytest.mark.holds("F52")
@pytest.mark.parametrize("read", [10, 65536])
def test_a_hang_up_in_the_handshake_is_retried_and_is_no_matter_of_certificates(
    connect: MakeTransport, read: int
) -> None:
    """As of an overloaded balancer, after a piece of the greeting or all of it: a `ConnectError`."""
    taken: list[int] = []

    class HangUp(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            taken.append(len(self.request.recv(read)))

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), HangUp) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        transport = connect(f"https://localhost:{server.server_address[1]}", max_retries=2)
        transport.had_contact = True
        with pytest.raises(ConnectError) as caught:
            transport.send(calls.unkeyed())
        server.shutdown()
        thread.join()
    assert len(caught.value.attempts) == 3, "nothing was sent yet, so even this is safe to repeat"
    assert caught.value.retryable
    assert "certificate" not in str(caught.value)


@pytest.mark.holds("F52")
@pytest.mark.parametrize("answer", [None, b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{"])
def test_an_end_of_file_on_an_encrypted_connection_is_retried(
    connect: MakeTransport, serve: Serve, authority: Authority, answer: bytes | None
) -> None:
    """Without the farewell of TLS, before or in the response: broken like any other connection."""
    server = serve(authority.sign("cut"))
    server.hang_up_after = True
    server.play = lambda number, request: answer
    with pytest.raises(TransportError) as caught:
        connect(url(server), verify=authority.bundle, max_retries=2).send(calls.step())
    assert not isinstance(caught.value, TLSError)
    assert len(caught.value.attempts) == len(server.received) == 3
    assert "certificate" not in str(caught.value)
