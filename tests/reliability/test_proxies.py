"""Proxies on loopback, for plain and encrypted servers: used, left out, locked and dying."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support import calls
from support.certificates import Authority, server_context
from support.clock import FakeClock
from support.package import PACKAGE
from support.proxy_server import ProxyServer
from support.raw_server import BODY, RawServer

from tinkex._core.transport import Transport
from tinkex.checkpoints.fetch import Source, fetch
from tinkex.checkpoints.partial import Partial
from tinkex.config import Config
from tinkex.errors import ProxyError, TLSError, TransportError

HOST = "tinker.example.org"
KEY = "tml-canary-0123456789"
LOCKED = "user:canary%20word"

Open = Callable[..., Transport]


@pytest.fixture(autouse=True)
def no_proxy_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


@pytest.fixture
def proxy(raw: RawServer) -> Iterator[ProxyServer]:
    proxy = ProxyServer(("127.0.0.1", raw.port))
    yield proxy
    proxy.close()


@pytest.fixture
def plain() -> Iterator[Open]:
    """Return a function that opens a transport to a plain server elsewhere."""
    made: list[Transport] = []

    def open_transport(url: str = f"http://{HOST}", **settings: Any) -> Transport:
        config = Config.resolve(
            base_url=url, environ={}, api_key=KEY, allow_insecure=True, **settings
        )
        made.append(Transport(config, clock=FakeClock(), jitter=lambda end: end))
        return made[-1]

    yield open_transport
    for transport in made:
        transport.close()


# Another machine's address by its looks, and this machine's for who connects to it.
HERE = "0.0.0.0"


def resolve_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the server's name be this machine's, for httpx; pyqwest does not resolve names in Python."""
    monkeypatch.setattr("tinkex._core.pyqwest_engine._is_forked", lambda: True)
    found = socket.getaddrinfo

    def resolve(host: Any, *rest: Any, **more: Any) -> Any:
        return found("127.0.0.1" if host in (HOST, HOST.encode()) else host, *rest, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)


@pytest.mark.holds("F41")
@pytest.mark.parametrize("by", ["argument", "HTTP_PROXY", "http_proxy", "ALL_PROXY"])
def test_a_plain_server_is_reached_through_the_proxy(
    proxy: ProxyServer, raw: RawServer, plain: Open, by: str, monkeypatch
) -> None:
    """The proxy is asked for the whole URL; the name is its to resolve."""
    url = f"http://127.0.0.1:{proxy.port}"
    if by != "argument":
        monkeypatch.setenv(by, url)
    transport = plain(**({"proxy": url} if by == "argument" else {}))
    assert transport.send(calls.read()).content == BODY
    assert proxy.heads[0].startswith(b"GET http://tinker.example.org/api/v1/")
    assert len(raw.received) == 1


@pytest.mark.holds("F41", "S17")
def test_an_encrypted_server_is_reached_through_a_tunnel(
    tmp_path: Path, plain: Open, monkeypatch
) -> None:
    """The proxy sees the host and its own password, and neither key nor path."""
    authority = Authority(tmp_path)
    server = RawServer(server_context(authority.sign("far", host=HOST)))
    proxy = ProxyServer(("127.0.0.1", server.port))
    proxy.password = "user:canary word"
    monkeypatch.setenv("HTTPS_PROXY", f"http://{LOCKED}@127.0.0.1:{proxy.port}")
    try:
        transport = plain(f"https://{HOST}", verify=authority.bundle)
        assert transport.send(calls.step()).content == BODY
        transport.close()
    finally:
        proxy.close()
        server.close()
    assert proxy.heads[0].startswith(b"CONNECT tinker.example.org:443 ")
    assert b"tml-" not in b"".join(proxy.heads)
    assert b"tml-" in server.received[0]
    assert b"roxy-authorization" not in server.received[0]


@pytest.mark.holds("F41")
@pytest.mark.parametrize(
    ("host", "exempt"),
    [
        *((HOST, exempt) for exempt in (HOST, "example.org", "*", "other.org, .example.org")),
        *((HERE, exempt) for exempt in (HERE, "*", "0.0.0.0/8")),
    ],
)
def test_an_exempted_server_is_reached_without_the_proxy(
    proxy: ProxyServer, raw: RawServer, plain: Open, host: str, exempt: str, monkeypatch
) -> None:
    """NO_PROXY names hosts, domains and networks, for both HTTP libraries."""
    if host == HOST:
        resolve_here(monkeypatch)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", exempt)
    assert plain(f"http://{host}:{raw.port}").send(calls.read()).content == BODY
    assert proxy.heads == []


@pytest.mark.holds("F41", "S17")
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("by", ["argument", "variable"])
def test_a_locked_proxy_is_told_at_once_and_without_its_password(
    proxy: ProxyServer, raw: RawServer, plain: Open, scheme: str, by: str, monkeypatch, caplog
) -> None:
    """The wrong password gets 407: the error says so, names the proxy, and nothing is repeated."""
    proxy.password = "user:another"
    url = f"http://{LOCKED}@127.0.0.1:{proxy.port}"
    if by == "variable":
        monkeypatch.setenv(f"{scheme.upper()}_PROXY", url)
    transport = plain(f"{scheme}://{HOST}", **({"proxy": url} if by == "argument" else {}))
    with (
        caplog.at_level(logging.DEBUG),
        pytest.raises(ProxyError, match=f"127.0.0.1:{proxy.port}.*407") as caught,
    ):
        transport.send(calls.read())
    assert len(proxy.heads) == 1
    assert raw.received == []
    assert "canary" not in f"{caught.value!r} {caught.value} {vars(caught.value)} {caplog.text}"


@pytest.mark.holds("F41", "S17")
@pytest.mark.parametrize("dies", ["at once", "after the head", "long ago"])
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_dies_is_named_without_its_password(
    proxy: ProxyServer, raw: RawServer, plain: Open, dies: str, scheme: str, monkeypatch
) -> None:
    """Whoever looks for the mistake sees which proxy it is, and nobody sees the password."""
    proxy.dies = dies
    if dies == "long ago":
        proxy.close()
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://{LOCKED}@127.0.0.1:{proxy.port}")
    with pytest.raises(
        ProxyError, match=f"through the proxy http://127.0.0.1:{proxy.port}"
    ) as caught:
        plain(f"{scheme}://{HOST}", max_retries=1).send(calls.read())
    assert raw.received == []
    assert "canary" not in f"{caught.value!r} {caught.value} {vars(caught.value)}"


@pytest.mark.holds("F41")
@pytest.mark.parametrize("dies", ["at once", "after the head"])
def test_a_step_is_sent_again_where_the_proxy_died_before_the_tunnel(
    proxy: ProxyServer, plain: Open, dies: str
) -> None:
    """Nothing reached the server yet, so even what must not run twice may be repeated."""
    proxy.dies = dies
    transport = plain(
        f"https://{HOST}", proxy=f"http://{LOCKED}@127.0.0.1:{proxy.port}", max_retries=2
    )
    with pytest.raises(ProxyError) as caught:
        transport.send(calls.unkeyed())
    assert len(caught.value.attempts) == 3


@pytest.mark.holds("F41")
@pytest.mark.parametrize("host", [HOST, HERE])
def test_an_exempted_server_is_not_taken_for_the_proxy(
    raw: RawServer, proxy: ProxyServer, plain: Open, host: str, monkeypatch
) -> None:
    """NO_PROXY may name a port; what then breaks is the server's connection."""
    if host == HOST:
        resolve_here(monkeypatch)
    monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
    monkeypatch.setenv("NO_PROXY", f"http://{host}:{raw.port}")
    raw.play = lambda number, request: None
    with pytest.raises(TransportError) as caught:
        plain(f"http://{host}:{raw.port}", max_retries=0).send(calls.read())
    assert len(raw.received) == 1
    assert not isinstance(caught.value, ProxyError)


@pytest.mark.holds("F41")
def test_what_breaks_inside_a_tunnel_is_not_laid_to_the_proxy(tmp_path: Path, plain: Open) -> None:
    """The proxy is named, for it may be its doing; the error does not say that it is."""
    authority = Authority(tmp_path)
    server = RawServer(server_context(authority.sign("far", host=HOST)))
    server.play = lambda number, request: None
    proxy = ProxyServer(("127.0.0.1", server.port))
    try:
        transport = plain(
            f"https://{HOST}",
            verify=authority.bundle,
            proxy=f"http://127.0.0.1:{proxy.port}",
            max_retries=0,
        )
        with pytest.raises(TransportError, match="through the proxy") as caught:
            transport.send(calls.read())
        transport.close()
    finally:
        proxy.close()
        server.close()
    assert not isinstance(caught.value, ProxyError)


@pytest.mark.holds("F41", "S17")
@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("engine", ["pyqwest", "httpx"])
def test_an_encrypted_proxy_is_verified_as_the_settings_say(
    tmp_path: Path, plain: Open, engine: str, scheme: str, monkeypatch
) -> None:
    """A company's own authority signs its proxy: `verify` names it, and without that nobody is asked."""
    if engine == "httpx":
        monkeypatch.setattr("tinkex._core.pyqwest_engine._is_forked", lambda: True)
    with encrypted_proxy(tmp_path, scheme) as (proxy, url, authority):
        trusting = plain(f"{scheme}://{HOST}", verify=str(authority.bundle), proxy=url)
        assert trusting.send(calls.read()).content == BODY
        trusting.close()
        passed = len(proxy.heads)
        with pytest.raises(TransportError, match=f"through the proxy {url}") as caught:
            plain(f"{scheme}://{HOST}", proxy=url, max_retries=0).send(calls.read())
        assert "certificate" in str(caught.value)
        if engine == "httpx":
            careless = plain(f"{scheme}://{HOST}", verify=False, proxy=url)
            assert careless.send(calls.read()).content == BODY
            careless.close()
            passed += 1
    assert len(proxy.heads) == passed


@contextlib.contextmanager
def encrypted_proxy(
    folder: Path, scheme: str, host: str = HOST
) -> Iterator[tuple[ProxyServer, str, Authority]]:
    """An https:// proxy in front of a server; one authority signs both."""
    authority = Authority(folder)
    far = server_context(authority.sign("far", host=host)) if scheme == "https" else None
    server = RawServer(far)
    proxy = ProxyServer(("127.0.0.1", server.port), server_context(authority.sign("proxy")))
    try:
        yield proxy, f"https://localhost:{proxy.port}", authority
    finally:
        proxy.close()
        server.close()


# Downloads


@pytest.mark.holds("F41", "S17")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_download_verifies_an_encrypted_proxy_as_the_settings_say(
    tmp_path: Path, scheme: str
) -> None:
    """The proxy's own authority counts; without it, nothing is tried again and the error says what to do."""
    with encrypted_proxy(tmp_path, scheme, "store.example.org") as (_, url, authority):
        with pytest.raises(
            TLSError, match=rf"store.example.org through .* {url} .*verify="
        ) as caught:
            fetched(tmp_path, scheme, proxy=url)
        assert "canary" not in "".join(traceback.format_exception(caught.value))
        assert caught.value.__context__ is None
        partial = fetched(tmp_path, scheme, verify=str(authority.bundle), proxy=url)
        assert partial.file.read_bytes() == BODY


@pytest.mark.holds("F41", "S17")
@pytest.mark.parametrize("by", ["URL", "headers", "HTTP_PROXY"])
def test_a_download_gives_a_proxy_the_password_that_it_wants(
    proxy: ProxyServer, raw: RawServer, by: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """In the URL, quoted or not, or as a header of one's own; the archive's host sees none of it."""
    proxy.password = "user:can#ary"
    settings: dict[str, Any] = {"proxy": f"http://user:can#ary@127.0.0.1:{proxy.port}"}
    if by == "headers":
        settings["proxy"] = f"http://127.0.0.1:{proxy.port}"
        settings["proxy_headers"] = {"Proxy-Authorization": "Basic dXNlcjpjYW4jYXJ5"}
    if by == "HTTP_PROXY":
        monkeypatch.setenv("HTTP_PROXY", settings.pop("proxy"))
    partial = fetched(tmp_path, **settings)
    assert partial.file.read_bytes() == BODY
    assert proxy.heads[0].startswith(b"GET http://store.example.org/")
    assert len(raw.received) == 1


@pytest.mark.holds("F41", "S17")
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_download_that_a_proxy_refuses_says_so_at_once(
    proxy: ProxyServer, scheme: str, tmp_path: Path
) -> None:
    """407 is the proxy's word: no attempt more, no doubt about the checkpoint, no password shown."""
    proxy.password = "user:another"
    with pytest.raises(ProxyError, match=f"127.0.0.1:{proxy.port}.*407") as caught:
        fetched(tmp_path, scheme, proxy=f"http://{LOCKED}@127.0.0.1:{proxy.port}")
    assert len(proxy.heads) == 1
    frames = [frame for frame, _ in traceback.walk_tb(caught.value.__traceback__)]
    ours = [frame for frame in frames if frame.f_code.co_filename.startswith(PACKAGE)]
    assert "canary" not in f"{caught.value} {[frame.f_locals for frame in ours]}"


def fetched(folder: Path, scheme: str = "http", **settings: Any) -> Partial:
    config = Config(base_url=f"http://{HOST}", api_key=KEY, allow_insecure=True, **settings)
    source = Source(
        "it", lambda: f"{scheme}://store.example.org/a?sig=canary", config, FakeClock(), 10**6
    )
    partial = Partial(folder / "a.partial")
    fetch(source, partial, None)
    return partial
