"""What HTTP engines share: their protocol, request content, headers, targets, and errors before sending.

`tinkex._core.pyqwest_engine` is the default. `tinkex._core.httpx_engine` replaces it for injected httpx
transports, unchecked certificates, and forked processes.
"""

from __future__ import annotations

import platform
import re
from collections.abc import Iterator, Mapping
from typing import Protocol, TypeAlias, runtime_checkable
from urllib.parse import urlencode

from tinkex_generated.types import Request

from tinkex._base.headers import is_header_name
from tinkex._base.version import __version__
from tinkex._core.failures import Failure, transport_error
from tinkex._core.response import OpenResponse, RequestHeaders
from tinkex.config import Config
from tinkex.errors import TransportError

CONNECT_TIMEOUT = 5.0

_ARCHITECTURES: Mapping[str, str] = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64"}
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e\x80-\U0010ffff]*")


@runtime_checkable
class StreamedContent(Protocol):
    """Content of a known size that need not be in memory, and can be iterated again for each attempt."""

    @property
    def size(self) -> int:
        """Return the total number of bytes."""
        ...

    def __iter__(self) -> Iterator[bytes]:
        """Yield the bytes, from the start."""
        ...


Content: TypeAlias = bytes | StreamedContent


class Engine(Protocol):
    """Sends one request and returns the head of its response."""

    async def open(
        self, request: Request, headers: Mapping[str, str], content: Content | None
    ) -> OpenResponse:
        """Send a request and return its response, with the body still unread."""
        ...

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """Return the exception types of `open` and of reading a body, besides tinkex's errors."""
        ...

    def failure_of(self, error: Exception) -> TransportError:
        """Return the tinkex error for one of these exceptions."""
        ...

    async def aclose(self) -> None:
        """Close every connection."""
        ...


def size_of(content: Content | None) -> int:
    """Return the number of bytes of a content; 0 for None."""
    if content is None:
        return 0
    return len(content) if isinstance(content, bytes) else content.size


def fixed_headers(config: Config) -> RequestHeaders:
    """Return the headers of every request to a server."""
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
    # Header names are case-insensitive: a name replaces any other spelling.
    found = RequestHeaders((name.lower(), value) for name, value in headers.items())
    found.update((name.lower(), value) for name, value in config.default_headers.items())
    return found


def target_of(config: Config, request: Request) -> str:
    """Return the URL of a request, with its query."""
    if not request.params and not config.default_query:
        return config.base_url + request.path
    asked = {name: _parameter(value) for name, value in request.params.items()}
    query = urlencode({**config.default_query, **asked}, doseq=True)
    return f"{config.base_url}{request.path}?{query}"


def unsendable(headers: Mapping[str, str], where: str) -> TransportError:
    """Return the error of a request with invalid headers; values are not shown, they may be secret."""
    text = "its URL or a secret header has invalid characters"
    for name, value in headers.items():
        if not is_header_name(name) or not _HEADER_VALUE.fullmatch(value):
            text = f"the header {name[:50]!r} has invalid characters"
    return not_sent(transport_error(Failure.REQUEST, text, where))


def not_sent(error: TransportError) -> TransportError:
    """Mark an error as one of a request that did not reach the server."""
    error.was_sent = False
    return error


def refused(error: TransportError) -> TransportError:
    """Mark an error as one of a request that the server refused for lack of capacity."""
    error.was_refused = True
    return not_sent(error)


NOT_TLS = "it does not speak TLS; is it an http:// address?"
PROXY_CREDENTIALS = "it asks for a user name and a password (HTTP 407); put them into its URL"


def unauthorised_proxy(where: str) -> TransportError:
    """Return the error of a proxy that requires authentication."""
    error = not_sent(transport_error(Failure.PROXY, PROXY_CREDENTIALS, where))
    error.retryable = False
    return error


def _parameter(value: object) -> str | list[str]:
    if isinstance(value, list | tuple):
        return [str(_parameter(one)) for one in value]
    return str(value).lower() if isinstance(value, bool) else str(value)
