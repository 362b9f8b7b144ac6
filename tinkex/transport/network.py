"""Choose what carries the requests, and what goes on each of them."""

from __future__ import annotations

import logging
import platform
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

from tinkex._version import __version__
from tinkex.config import Config
from tinkex.transport.answer import Broken, Reply, Stream
from tinkex.transport.body import Body
from tinkex.transport.credentials import Credentials
from tinkex.transport.direct import Direct, can_carry
from tinkex.transport.proxies import proxy_in_environment

if TYPE_CHECKING:
    import ssl

    import httpx

log = logging.getLogger("tinkex.transport")

_ARCHITECTURES: Mapping[str, str] = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64"}


class Network(Protocol):
    """Carry one request to the server and its answer back."""

    fixed_headers: Mapping[str, str]

    def exchange(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any],
        headers: Mapping[str, str],
        content: Body | None,
        seconds: float | None,
        *,
        may_repeat: bool,
    ) -> Reply | Broken:
        """Send a request and return the answer to it, or why there is none."""
        ...

    def stream(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any],
        headers: Mapping[str, str],
        content: Body | None,
        seconds: float | None,
    ) -> AbstractContextManager[Stream | Reply | Broken]:
        """Send a request and hand out its answer while it comes; an error status comes whole."""
        ...

    def failure_of(self, error: Exception) -> Broken | None:
        """Return what an error of a stream means, if it is one of its own."""
        ...

    def close(self) -> None:
        """Close every connection."""
        ...


def open_network(
    config: Config, credentials: Credentials, http_transport: httpx.BaseTransport | None
) -> Network:
    """Return what carries requests to the configured server.

    Raises:
        ConfigurationError: The proxy or the CA bundle cannot be used.
    """
    if config.verify is False:
        log.warning(
            "certificates are not checked (verify=False): anybody on the way can read along"
        )
    headers = _fixed_headers(config)
    is_plain = http_transport is None and config.proxy is None and can_carry(config.base_url)
    if is_plain and not proxy_in_environment(config):
        context = _context(config) if config.base_url.startswith("https:") else None
        return Direct(config, credentials, headers, context)
    # It takes a fifth of the time of `import tinkex`, so only those who need it load it.
    from tinkex.transport.connection import ByHttpx

    return ByHttpx(config, credentials, headers, http_transport)


def _context(config: Config) -> ssl.SSLContext:
    from tinkex.transport.tls import tls_context

    context = tls_context(config)
    context.set_alpn_protocols(["http/1.1"])
    return context


def _fixed_headers(config: Config) -> dict[str, str]:
    system, machine = platform.system(), platform.machine()
    headers = {
        "Accept": "application/json",
        "User-Agent": f"Tinkex/Python {__version__}",
        "X-Stainless-Package-Version": config.sdk_version,
        "X-Stainless-OS": {"Darwin": "MacOS"}.get(system, system or "Unknown"),
        "X-Stainless-Arch": _ARCHITECTURES.get(machine, machine or "unknown"),
        "X-Stainless-Runtime": platform.python_implementation(),
        "X-Stainless-Runtime-Version": platform.python_version(),
        "X-Stainless-Async": "false",
    }
    if config.cf_access_client_id:
        headers["CF-Access-Client-Id"] = config.cf_access_client_id
    # A name in any case replaces one in another.
    headers = {name.lower(): value for name, value in headers.items()}
    headers.update({name.lower(): value for name, value in config.default_headers.items()})
    return headers
