"""TLS with certificates made for the test: who is believed, and who is not."""

from __future__ import annotations

import logging
import socketserver
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from reliability.conftest import MakeTransport
from support import calls
from support.certificates import Authority, server_context
from support.raw_server import BODY, RawServer

from tinkex.errors import ConfigurationError, TLSError
from tinkex.transport import Transport

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

    def serve(certificate: Path) -> RawServer:
        made.append(RawServer(server_context(certificate)))
        return made[-1]

    yield serve
    for server in made:
        server.close()


def url(server: RawServer, host: str = "localhost") -> str:
    return f"https://{host}:{server.port}"


def asked(transport: Transport) -> bytes:
    return transport.send(calls.read()).content


@pytest.mark.holds("F42")
@pytest.mark.parametrize("by", ["argument", "TINKEX_CA_BUNDLE", "SSL_CERT_FILE", "SSL_CERT_DIR"])
def test_an_authority_of_ones_own_is_believed(
    connect: MakeTransport, serve: Serve, authority: Authority, by: str, monkeypatch
) -> None:
    """By argument or by variable, as a file or as a folder."""
    server = serve(authority.sign("good"))
    settings = {}
    if by == "argument":
        settings["verify"] = authority.bundle
    elif by == "TINKEX_CA_BUNDLE":
        settings["environ"] = {by: str(authority.bundle)}
    else:
        monkeypatch.setenv(
            by, str(authority.bundle if by == "SSL_CERT_FILE" else authority.as_folder())
        )
    assert asked(connect(url(server), **settings)) == BODY


@pytest.mark.holds("F42")
@pytest.mark.parametrize(
    ("name", "signing", "asked_for", "error"),
    [
        ("other", {"host": "elsewhere.example.org"}, "localhost", "mismatch"),
        ("late", {"days": -1}, "localhost", "expired"),
        ("numbered", {}, "127.0.0.1", "mismatch|IP address"),
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
    assert server.connections == 1, "what will not pass is not tried again"


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
        with pytest.raises(TLSError):
            asked(connect(f"https://localhost:{server.server_address[1]}"))
        server.shutdown()
        thread.join()
    assert got
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
