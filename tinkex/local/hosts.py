"""The host names and addresses that a server accepts.

A page in a browser can make requests to this machine: by a name that it lets point here (DNS
rebinding), or across origins. So the Host header must be one that the server knows, and an
Origin as well, wherever the server listens.
"""

import socket
from collections.abc import Iterable
from ipaddress import ip_address
from typing import Any, Self
from urllib.parse import urlsplit

from attrs import frozen

from tinkex.local.problem import Problem

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


@frozen
class HostNames:
    """What a Host header may name.

    A server on all interfaces accepts every IP address, since a name is what a page can point
    elsewhere, and an address is not.
    """

    names: frozenset[str]
    any_address: bool = False

    @classmethod
    def of(cls, bound: str, allowed: Iterable[str] = ()) -> Self:
        """Return the names of a server bound to an interface; `allowed` are further ones.

        Raises:
            ValueError: one of these is no host name and no address.
        """
        more = frozenset(map(_checked, allowed))
        if is_loopback(bound):
            return cls(LOOPBACK_NAMES | {bound.lower()} | more)
        if is_every_interface(bound):
            return cls(LOOPBACK_NAMES | {socket.gethostname().lower()} | more, any_address=True)
        return cls(frozenset({bound.lower()}) | more)

    def check(self, host: str | None, origin: str | None) -> None:
        """Raise a 403 problem unless the headers Host and Origin are for this server."""
        name = _host_of(f"//{host or ''}")
        if not self._is_known(name):
            raise Problem(
                403,
                f"host {name!r} is not a name of this server: to be reached by it, start the server"
                " with --allow-host or LocalServer(allowed_hosts=...)",
            )
        if origin is not None:
            source = _host_of(origin)
            # An address is good as an origin only where the page came from this very server.
            if source is None or (source not in self.names and source != name):
                raise Problem(403, f"requests from the origin {origin!r} are refused")

    def _is_known(self, name: str | None) -> bool:
        return name is not None and (name in self.names or (self.any_address and _is_address(name)))


def is_loopback(bound: str) -> bool:
    """Return whether only this machine reaches a server that is bound so."""
    if bound.lower() == "localhost":
        return True
    return _is_address(bound) and ip_address(bound).is_loopback


def is_every_interface(bound: str) -> bool:
    """Return whether a server that is bound so listens on all interfaces."""
    return not bound or (_is_address(bound) and ip_address(bound).is_unspecified)


def _is_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _checked(name: str) -> str:
    found = _host_of(f"//{name}" if name.count(":") < 2 or "[" in name else f"//[{name}]")
    if not found or any(sign in name for sign in "/@?#*") or name != name.strip():
        raise ValueError(f"{name!r} is not the name or address of a host")
    return str(found)


def _host_of(url: str) -> Any:
    """Return the host of a URL in lower case, or None."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
