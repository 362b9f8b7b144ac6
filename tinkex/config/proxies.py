"""The proxy for a URL, from the settings or the environment.

`NO_PROXY` is parsed here, once for every HTTP library, with all the entries that its readers support:
names, domains, addresses, networks, ports, "*".
"""

from __future__ import annotations

import base64
import ipaddress
import os
import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import quote, unquote, urlsplit

from attrs import evolve, field, frozen

from tinkex._base.redaction import hide
from tinkex._base.secret import Secret
from tinkex._base.urls import is_loopback_host, split_url
from tinkex.errors import ConfigurationError

if TYPE_CHECKING:
    from tinkex.config import Config

SCHEMES = ("http", "https", "socks5", "socks5h")
_BRACKETED = re.compile(r"\[([^\]]+)\](/\d+)?(?::(\d+))?")
_PORTS = {"http": 80, "https": 443}
WRONG = (
    f"must be the URL of a proxy, such as http://host:3128 (schemes: {', '.join(SCHEMES)}); quote "
    "special characters of a password, as %23 for #"
)


@frozen
class ProxySettings:
    """A proxy, its credentials and its headers.

    Attributes:
        address: Scheme, host and port; safe to show.
        auth: User name and password, unquoted, or None.
        headers: Headers for the proxy alone. A Proxy-Authorization among them replaces `auth`.
        source: Its origin: "proxy argument", "TINKEX_PROXY", "HTTPS_PROXY" or the like.
    """

    address: str
    auth: tuple[Secret, Secret] | None = None
    headers: Mapping[str, str] = field(factory=dict, repr=False)
    source: str = "proxy argument"

    @property
    def is_encrypted(self) -> bool:
        """Return whether the connection to the proxy itself is encrypted."""
        return self.address.startswith("https:")

    @property
    def url(self) -> Secret:
        """Return the complete URL, with user name and password quoted."""
        if self.auth is None:
            return Secret(self.address)
        user, password = (quote(part.reveal(), safe="") for part in self.auth)
        scheme, _, host = self.address.partition("://")
        return Secret(f"{scheme}://{user}:{password}@{host}")


def through(where: str, proxy: ProxySettings | None) -> str:
    """Return an address with the proxy on the way to it, for messages."""
    return where if proxy is None else f"{where} through the proxy {proxy.address}"


def parse_proxy(text: str) -> ProxySettings | None:
    """Return the proxy that a text names, or None if it is invalid; the scheme is optional.

    >>> parse_proxy("http://user:pa#ss@proxy.example.org:3128").address
    'http://proxy.example.org:3128'

    Registers the password for redaction. The password may hold any character, quoted or not: the part
    before the last @ is user name and password.
    """
    scheme, separator, rest = text.strip().rpartition("://")
    scheme = scheme.lower() if separator else "http"
    user_info, _, host = rest.rpartition("@")
    parts = split_url(f"{scheme}://{re.split('[/?#]', host, maxsplit=1)[0]}")
    if scheme not in SCHEMES or parts is None or not _is_host(parts.hostname or ""):
        return None
    proxy = ProxySettings(f"{scheme}://{parts.netloc}")
    if not user_info:
        return proxy
    user, _, quoted = user_info.partition(":")
    user, password = unquote(user), unquote(quoted)
    proxy = evolve(proxy, auth=(Secret(user), Secret(password)))
    sent = base64.b64encode(f"{user}:{password}".encode()).decode()
    hide(password, quoted, proxy.url, sent)
    return proxy


def _is_host(name: str) -> bool:
    return re.search(r"[^\w.:%-]", name) is None


def proxy_for(config: Config) -> ProxySettings | None:
    """Return the proxy for the configured server, or None.

    Raises:
        ConfigurationError: A variable does not name a proxy; the message does not show its value.
    """
    explicit = config.proxy is not None and config.sources.get("proxy", "argument") == "argument"
    if explicit:
        return _configured(config)
    return proxy_for_url(config, config.base_url)


def proxy_for_url(config: Config, url: str) -> ProxySettings | None:
    """Return the proxy for a URL, or None; loopback addresses need none.

    Args:
        config: Settings, whose proxy takes precedence over the environment.
        url: The target; an http or https URL.

    Raises:
        ConfigurationError: A variable does not name a proxy; the message does not show its value.
    """
    parts = split_url(url)
    if parts is None or is_loopback_host(parts.hostname or ""):
        return None
    if config.proxy is not None:
        return _configured(config)
    variables = _variables()
    name = next((name for name in (parts.scheme, "all") if name in variables), None)
    if name is None or is_exempt(url, variables.get("no", ("", ""))[1]):
        return None
    source, text = variables[name]
    proxy = parse_proxy(text)
    if proxy is None:
        raise ConfigurationError(f"{source} {WRONG}, or name the server in NO_PROXY")
    return _with_headers(proxy, config, source)


def _configured(config: Config) -> ProxySettings:
    assert config.proxy is not None  # noqa: S101 - checked by the caller
    source = config.sources.get("proxy", "argument").removeprefix("environment ")
    source = "proxy argument" if source == "argument" else source
    proxy = parse_proxy(config.proxy.reveal())
    if proxy is None:
        raise ConfigurationError(f"{source} {WRONG}")
    return _with_headers(proxy, config, source)


def _with_headers(proxy: ProxySettings, config: Config, source: str) -> ProxySettings:
    headers = dict(config.proxy_headers)
    # Otherwise both would be sent.
    explicit = any(name.lower() == "proxy-authorization" for name in headers)
    return evolve(proxy, headers=headers, source=source, auth=None if explicit else proxy.auth)


def _variables() -> dict[str, tuple[str, str]]:
    """Return the proxy variables: by scheme, "all" or "no", the variable's name and value.

    As elsewhere, a lower-case name wins, even if it is empty.
    """
    found: dict[str, tuple[str, str]] = {}
    names = [name for name in os.environ if name.lower().endswith("_proxy")]
    for name in sorted(names, key=str.islower):
        # In CGI, this variable holds the Proxy header of a request (CVE-2016-5385).
        if name == "HTTP_PROXY" and "REQUEST_METHOD" in os.environ:
            continue
        kind, text = name.lower().removesuffix("_proxy"), os.environ[name].strip()
        found.pop(kind, None)
        if text:
            found[kind] = (name, text)
    if not found and sys.platform in ("darwin", "win32"):
        from urllib.request import getproxies

        return {kind: ("the system's proxy", text) for kind, text in getproxies().items()}
    return found


def is_exempt(url: str, no_proxy: str) -> bool:
    """Return whether a NO_PROXY list exempts a URL.

    >>> is_exempt("https://api.example.org", "localhost, example.org")
    True

    Entries: a name with its subdomains; a domain with a leading dot or "*.", which matches subdomains
    only; an IPv4 or IPv6 address or network, with or without brackets; each optionally with a port or a
    scheme; "*" for everything.
    """
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme)
    host = _normal(parts.hostname or "")
    for entry in re.split(r"[,\s]+", no_proxy):
        scheme, separator, rest = entry.rpartition("://")
        if separator and scheme.lower() not in (parts.scheme, "all"):
            continue
        if _covers(rest, host, port):
            return True
    return False


def _covers(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    name, wanted = entry, None
    if found := _BRACKETED.fullmatch(entry):
        name, wanted = found[1] + (found[2] or ""), found[3]
    elif _network(entry) is None and ":" in entry:
        # After a name or an IPv4 address, a colon separates the port.
        name, _, wanted = entry.rpartition(":")
    if wanted is not None and wanted != str(port):
        return False
    address, network = _address(host), _network(name)
    if address is not None or network is not None:
        return address is not None and network is not None and address in network
    domain = _normal(name.removeprefix("*"))
    if domain.startswith("."):
        return len(domain) > 1 and host.endswith(domain)
    return bool(domain) and (host == domain or host.endswith("." + domain))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError:
        return None


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def _normal(host: str) -> str:
    """Return a host name in its canonical form (IDNA)."""
    host = host.lower().rstrip(".")
    if host.isascii():
        return host
    labels = host.split(".")
    try:
        return ".".join(label.encode("idna").decode() if label else "" for label in labels)
    except UnicodeError:
        return host
