"""Which proxy stands on the way to a URL, by the settings and by every shape of the variables."""

from __future__ import annotations

import os
import traceback
from typing import Any

import pytest

from tinkex._base.secret import Secret
from tinkex.config import Config
from tinkex.config.proxies import ProxySettings, is_exempt, parse_proxy, proxy_for, proxy_for_url
from tinkex.errors import ConfigurationError

URL = "https://tinker.example.org/services"
PROXY = "http://proxy.example.org:3128"


@pytest.fixture(autouse=True)
def no_proxy_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)


def config(**settings: Any) -> Config:
    return Config(**{"base_url": URL, "api_key": "tml-canary-0123456789", **settings})


def found(**settings: Any) -> ProxySettings:
    proxy = proxy_for(config(**settings))
    assert proxy is not None
    return proxy


# NO_PROXY

EXEMPT = [
    ("*", URL),
    ("tinker.example.org", URL),
    ("TINKER.example.ORG.", URL),
    ("example.org", URL),
    (".example.org", URL),
    ("*.example.org", URL),
    ("localhost,\t example.org , x", URL),
    ("a.org b.org example.org", URL),
    ("example.org:443", URL),
    ("example.org:8443", "https://example.org:8443/x"),
    ("https://example.org", URL),
    ("all://example.org", URL),
    ("example.org", "https://EXAMPLE.org."),
    ("10.0.0.7", "http://10.0.0.7/x"),
    ("10.0.0.7:80", "http://10.0.0.7/x"),
    ("10.0.0.0/8", "http://10.200.3.4:8000"),
    ("10.0.0.7/8", "http://10.200.3.4:8000"),
    ("10.0.0.0/255.0.0.0", "http://10.200.3.4:8000"),
    ("10.0.0.0/8", "http://[::ffff:10.0.0.1]"),
    ("::1", "http://[::1]:8000"),
    ("[::1]", "http://[::1]:8000"),
    ("[::1]:8000", "http://[::1]:8000"),
    ("::1/128", "http://[::1]:8000"),
    ("0:0:0:0:0:0:0:1", "http://[::1]"),
    ("fe80::/10", "http://[fe80::1]"),
    ("fe80::/10", "http://[fe80::1%25eth0]"),
    ("[fe80::]/10", "http://[fe80::1]"),
    ("bücher.example", "https://xn--bcher-kva.example"),
    ("xn--bcher-kva.example", "https://bücher.example"),
    ("BÜCHER.example", "https://shop.bücher.example"),
]

NOT_EXEMPT = [
    ("", URL),
    (" , ", URL),
    (".", URL),
    ("example.com", URL),
    ("ample.org", URL),
    ("tinker", URL),
    (".tinker.example.org", URL),
    ("example.org:80", URL),
    ("http://example.org", URL),
    ("**", URL),
    ("10.0.0.8", "http://10.0.0.7"),
    ("10.0.0.7:8080", "http://10.0.0.7"),
    ("11.0.0.0/8", "http://10.0.0.7"),
    ("10.0.0.0/33", "http://10.0.0.7"),
    ("0.0.7", "http://10.0.0.7"),
    ("10.0.0.0/8", "http://ten.example.org"),
    ("::1/128", "http://[::2]"),
    ("[::1]:8000", "http://[::1]"),
    ("fe80::/10", "http://[fec0::1]"),
    ("[", "http://[::1]"),
    ("bucher.example", "https://bücher.example"),
]


@pytest.mark.holds("F61")
@pytest.mark.parametrize(("no_proxy", "url"), EXEMPT)
def test_a_list_exempts_what_it_names(no_proxy: str, url: str) -> None:
    """Names, domains, addresses, networks and ports, in whatever way they are written."""
    assert is_exempt(url, no_proxy)


@pytest.mark.holds("F61")
@pytest.mark.parametrize(("no_proxy", "url"), NOT_EXEMPT)
def test_a_list_exempts_nothing_else(no_proxy: str, url: str) -> None:
    """What looks alike, and what is nonsense, exempts nothing and breaks nothing."""
    assert not is_exempt(url, no_proxy)


# The URL of a proxy


@pytest.mark.holds("F61")
@pytest.mark.parametrize(
    ("text", "address", "auth"),
    [
        ("proxy:3128", "http://proxy:3128", None),
        (" http://proxy:3128/ ", "http://proxy:3128", None),
        ("HTTPS://proxy", "https://proxy", None),
        ("socks5://proxy:1080", "socks5://proxy:1080", None),
        ("socks5h://u:p@proxy:1080", "socks5h://proxy:1080", ("u", "p")),
        ("http://[::1]:3128", "http://[::1]:3128", None),
        ("http://me@proxy", "http://proxy", ("me", "")),
        ("http://me:a%23b@proxy", "http://proxy", ("me", "a#b")),
        ("http://me:a#b@proxy:3128", "http://proxy:3128", ("me", "a#b")),
        ("http://me:a/b?c@d@proxy:3128", "http://proxy:3128", ("me", "a/b?c@d")),
        ("me:a:b@proxy:3128", "http://proxy:3128", ("me", "a:b")),
    ],
)
def test_a_proxy_is_read_however_its_password_is_written(
    text: str, address: str, auth: tuple[str, str] | None
) -> None:
    """Special characters may be quoted or not; a scheme may be missing."""
    proxy = parse_proxy(text)
    assert proxy is not None
    assert proxy.address == address
    assert (proxy.auth and tuple(part.reveal() for part in proxy.auth)) == auth
    again = parse_proxy(proxy.url.reveal())
    assert again == proxy


BROKEN = [
    "http://me:canary@[::1", "http://me:canary@::1]:3128", "http://me:canary@proxy:port",
    "http://me:canary@proxy:99999", "http://me:canary@", "ftp://me:canary@proxy", "://me:canary@proxy",
    "http://me:canary@pro xy", "http://me:canary@h\u2100x", "http://",
]  # fmt: skip


@pytest.mark.holds("F61", "S17")
@pytest.mark.parametrize("text", BROKEN)
@pytest.mark.parametrize("name", ["HTTPS_PROXY", "https_proxy", "ALL_PROXY"])
def test_a_variable_that_names_no_proxy_is_named_without_its_password(
    text: str, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The error says which variable it is, and neither it nor its frames show the password."""
    monkeypatch.setenv(name, text)
    with pytest.raises(ConfigurationError, match=f"^{name} must be the URL of a proxy") as caught:
        proxy_for(config())
    said = traceback.TracebackException.from_exception(caught.value)
    assert "canary" not in "".join(said.format())


@pytest.mark.holds("S17")
def test_a_proxy_shows_neither_password_nor_headers() -> None:
    """Its repr may stand in a log, and its password in no error from now on."""
    proxy = found(proxy="http://me:canary%20word@proxy", proxy_headers={"X-Token": "canary-header"})
    assert "canary" not in repr(proxy)
    error = ConfigurationError("canary word, canary%20word, Basic bWU6Y2FuYXJ5IHdvcmQ=")
    assert str(error) == "[REDACTED], [REDACTED], Basic [REDACTED]"


# Where it comes from


@pytest.mark.parametrize(
    ("variables", "source"),
    [
        ({"HTTPS_PROXY": PROXY}, "HTTPS_PROXY"),
        ({"https_proxy": PROXY}, "https_proxy"),
        ({"ALL_PROXY": PROXY}, "ALL_PROXY"),
        ({"https_proxy": PROXY, "HTTPS_PROXY": "http://other"}, "https_proxy"),
        ({"HTTPS_PROXY": PROXY, "all_proxy": "http://other"}, "HTTPS_PROXY"),
        ({"HTTPS_PROXY": PROXY, "NO_PROXY": "other.org"}, "HTTPS_PROXY"),
    ],
)
def test_the_variable_of_the_scheme_comes_first_and_lower_case_wins(
    variables: dict[str, str], source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As curl, Python and httpx read them."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert (found().address, found().source) == (PROXY, source)


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {"HTTP_PROXY": PROXY},
        {"HTTPS_PROXY": ""},
        {"HTTPS_PROXY": PROXY, "https_proxy": ""},
        {"HTTPS_PROXY": PROXY, "NO_PROXY": "example.org"},
        {"HTTPS_PROXY": PROXY, "no_proxy": "*"},
        {"HTTPS_PROXY": PROXY, "NO_PROXY": "other.org", "no_proxy": "example.org"},
    ],
)
def test_without_a_variable_or_with_an_exemption_there_is_no_proxy(
    variables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """An empty variable in lower case switches one in upper case off."""
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert proxy_for(config()) is None


def test_a_web_servers_proxy_header_sets_no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Under CGI the variable HTTP_PROXY is whatever a stranger sent (CVE-2016-5385)."""
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    plain = config(base_url="http://tinker.example.org", allow_insecure=True)
    assert proxy_for(plain) is not None
    monkeypatch.setenv("REQUEST_METHOD", "GET")
    assert proxy_for(plain) is None


def test_the_proxy_of_the_settings_comes_before_the_variables(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Neither HTTPS_PROXY nor NO_PROXY counts beside it, and it says where it comes from."""
    monkeypatch.setenv("HTTPS_PROXY", "http://other")
    monkeypatch.setenv("NO_PROXY", "*")
    assert (found(proxy=PROXY).address, found(proxy=PROXY).source) == (PROXY, "proxy argument")
    by_variable = Config.resolve(
        environ={"TINKEX_PROXY": PROXY}, base_url=URL, api_key="tml-canary-0123456789"
    )
    proxy = proxy_for(by_variable)
    assert proxy is not None
    assert (proxy.address, proxy.source) == (PROXY, "TINKEX_PROXY")


@pytest.mark.parametrize("url", ["http://127.0.0.1:8000", "http://localhost", "http://[::1]"])
def test_this_machine_is_reached_without_a_proxy_of_the_environment(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A proxy for the outside world would only break the way; an argument is meant."""
    monkeypatch.setenv("HTTP_PROXY", PROXY)
    assert proxy_for(config(base_url=url)) is None
    by_variable = Config.resolve(environ={"TINKEX_PROXY": PROXY}, base_url=url)
    assert proxy_for(by_variable) is None
    assert found(base_url=url, proxy=PROXY).address == PROXY


def test_an_archives_host_has_a_proxy_by_its_own_url(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is exempted for the server is not for its store, and the other way round."""
    monkeypatch.setenv("HTTPS_PROXY", PROXY)
    monkeypatch.setenv("NO_PROXY", "tinker.example.org")
    assert proxy_for(config()) is None
    assert proxy_for_url(config(), "https://store.example.org/a?sig=1") is not None
    assert proxy_for_url(config(), "https://tinker.example.org/a") is None
    assert proxy_for_url(config(proxy=PROXY), "http://127.0.0.1/a") is None


def test_headers_go_to_the_proxy_wherever_it_comes_from(monkeypatch: pytest.MonkeyPatch) -> None:
    """A Proxy-Authorization among them takes the place of what the URL says."""
    monkeypatch.setenv("HTTPS_PROXY", "http://me:pw@proxy")
    assert found(proxy_headers={"X-Team": "a"}).headers == {"X-Team": "a"}
    assert found(proxy_headers={"X-Team": "a"}).auth == (Secret("me"), Secret("pw"))
    assert found(proxy_headers={"proxy-authorization": "Basic x"}).auth is None
