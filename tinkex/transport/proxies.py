"""Find the proxy between us and the server, if the settings or the environment put one there."""

from __future__ import annotations

import os
import sys
from typing import Any
from urllib.parse import unquote, urlsplit

from tinkex.config import Config
from tinkex.secret import Secret


class ProxyLeg:
    """Tell from httpx's trace whether a request still waits for the proxy's own word.

    A proxy owes an answer to every plain request, and to the CONNECT before a tunnel; one that
    hangs up instead has failed, whatever the server behind it does. What breaks inside a tunnel
    may be either's doing.
    """

    def __init__(self) -> None:
        self.waits_for_proxy = False
        self.waits_for_tunnel = False

    def __call__(self, event: str, info: dict[str, Any]) -> None:
        """Note one event of a request on its way."""
        if event == "http11.send_request_headers.started":
            request = info["request"]
            self.waits_for_tunnel = request.method == b"CONNECT"
            # Only a proxy is asked for a whole URL; httpx may have found the server exempted.
            is_forwarded = request.url.target.startswith(b"http://")
            self.waits_for_proxy = self.waits_for_tunnel or is_forwarded
        elif event == "http11.receive_response_headers.complete":
            self.waits_for_tunnel = self.waits_for_proxy = False


def proxy_of(config: Config) -> Secret | None:
    """Return the URL of the proxy on the way to the server, or None; it may hold a password."""
    if config.proxy is not None:
        return config.proxy
    found = proxy_in_environment(config)
    if found is None:
        return None
    return Secret(found if "://" in found else f"http://{found}")


def proxy_address(proxy: Secret) -> str:
    """Return a proxy's URL without user name and password.

    >>> proxy_address(Secret("http://user:password@proxy.example.org:3128"))
    'http://proxy.example.org:3128'
    """
    scheme, separator, rest = proxy.reveal().rpartition("://")
    return f"{scheme}{separator}{rest.partition('/')[0].rpartition('@')[2]}"


def proxy_secrets(proxy: Secret) -> tuple[Secret, ...]:
    """Return what of a proxy's URL nobody may see: the URL with its password, and the password."""
    password = urlsplit(proxy.reveal()).password if "@" in proxy.reveal() else None
    found = [proxy.reveal(), password, unquote(password) if password else None]
    return tuple(Secret(text) for text in dict.fromkeys(filter(None, found)))


def proxy_in_environment(config: Config) -> str | None:
    """Return the proxy of the environment that may stand between us and the server."""
    if config.is_loopback:
        return None
    url = urlsplit(config.base_url)
    if sys.platform in ("darwin", "win32"):
        # The system's settings count there.
        from urllib.request import getproxies

        proxies = getproxies()
    else:
        proxies = {
            name.lower().removesuffix("_proxy"): value
            for name, value in os.environ.items()
            if name.lower().endswith("_proxy") and value
        }
    found = proxies.get(url.scheme) or proxies.get("all")
    if not found:
        return None
    host = (url.hostname or "").lower()
    exempt = [entry.strip().lower() for entry in proxies.get("no", "").split(",")]
    # What is not clear, httpx decides.
    is_exempt = any(
        entry and (entry == "*" or host == entry or host.endswith("." + entry.lstrip(".")))
        for entry in exempt
    )
    return None if is_exempt else found
