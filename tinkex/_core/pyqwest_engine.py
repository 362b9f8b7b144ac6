"""The HTTP engine on pyqwest: HTTP/1.1, HTTP/2 by ALPN, TLS, proxies."""

from __future__ import annotations

import contextlib
import logging
import math
import os
import re
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from tinkex_generated.types import Request

from tinkex._base.lazy import LazyModule
from tinkex._base.redaction import safe_text, strip_queries
from tinkex._core.credentials import Credentials
from tinkex._core.failures import Failure, transport_error, wants_client_certificate
from tinkex._core.http import (
    CONNECT_TIMEOUT,
    NOT_TLS,
    PROXY_CREDENTIALS,
    Content,
    Engine,
    fixed_headers,
    not_sent,
    refused,
    size_of,
    target_of,
    unauthorised_proxy,
    unsendable,
)
from tinkex._core.response import Headers, OpenResponse
from tinkex._core.retry_safety import request_class
from tinkex._core.tls import (
    authorities,
    client_pem,
    names_authorities,
    unusable_client_certificate,
)
from tinkex.config import Config
from tinkex.config.proxies import proxy_for, through
from tinkex.errors import ConfigurationError, TLSError, TransportError

if TYPE_CHECKING:
    import httpx
    import pyqwest
else:
    pyqwest = LazyModule("pyqwest")

log = logging.getLogger("tinkex.transport")

# Servers close idle connections; a request that must not be sent twice needs a fresh one.
IDLE_SECONDS = 50.0
IDLE_SECONDS_CAREFUL = 4.0
MOST_IDLE = 256
# pyqwest's messages start with the URL, whose query may be a secret; the reason follows.
_URL = re.compile(r"^.*?for url \(\S+\): ")
_UNSENT = "client error (Canceled)"
_STAGE = re.compile(r"^client error \(\w+\): ")
UNKNOWN_ISSUER = "unknown issuer (self-signed, or of a private authority)"


def open_engine(
    config: Config, credentials: Credentials, http_transport: httpx.BaseTransport | None
) -> Engine:
    """Open the HTTP engine for the configured server.

    Raises:
        ConfigurationError: The proxy or the CA bundle cannot be used.
    """
    if config.verify is False:
        log.warning("certificates are not checked (verify=False): the traffic can be intercepted")
    if http_transport is None and config.verify is not False and not _is_forked():
        return PyqwestEngine(config, credentials)
    # Importing httpx takes a fifth of the time of `import tinkex`, so it is loaded only when needed.
    from tinkex._core.httpx_engine import HttpxEngine

    return HttpxEngine(config, credentials, http_transport)


class PyqwestEngine:
    """An HTTP engine on pyqwest, with one connection pool per client.

    Args:
        config: The server, its certificates and its proxy.
        credentials: The secret headers, added at the last moment.
    """

    def __init__(self, config: Config, credentials: Credentials) -> None:
        self._config = config
        self._credentials = credentials
        self._fixed = fixed_headers(config)
        self._proxy = proxy_for(config)
        self._where = through(config.base_url, self._proxy)
        self._is_encrypted = config.base_url.startswith("https:")
        has_tls = self._is_encrypted or (self._proxy is not None and self._proxy.is_encrypted)
        self._authorities = authorities(config) if has_tls else None
        self._connect_timeout = min(CONNECT_TIMEOUT, config.timeout)
        self.errors: tuple[type[Exception], ...] = (
            ConnectionError,
            pyqwest.ReadError,
            pyqwest.RemoteProtocolError,
            pyqwest.WriteError,
        )
        # The OpenSSL engine, once it was needed: see `open`.
        self._fallback: Engine | None = None
        with _runtime():
            self._common = self._transport(IDLE_SECONDS)
        # For requests that must not be repeated; created on first use.
        self._careful: pyqwest.HTTPTransport | None = None

    async def open(
        self, request: Request, headers: Mapping[str, str], content: Content | None
    ) -> OpenResponse:
        """Send a request and return its response, with the body still unread.

        pyqwest's TLS does not accept a self-signed certificate as its own authority; OpenSSL does, if
        the user trusts it. So with custom authorities, OpenSSL decides in the end.
        """
        if self._fallback is not None:
            return await self._fallback.open(request, headers, content)
        try:
            return await self._open(request, headers, content)
        except ConnectionError as error:
            is_refused = isinstance(self.failure_of(error), TLSError)
            if not (is_refused and names_authorities(self._config)):
                raise
        if self._fallback is None:
            from tinkex._core.httpx_engine import HttpxEngine

            # Concurrent requests are refused together; they share one OpenSSL engine.
            self._fallback = HttpxEngine(self._config, self._credentials, None)
            self.errors += self._fallback.errors
        return await self._fallback.open(request, headers, content)

    async def _open(
        self, request: Request, headers: Mapping[str, str], content: Content | None
    ) -> OpenResponse:
        transport = self._common
        if not request_class(request.operation).is_idempotent:
            self._careful = self._careful or self._transport(IDLE_SECONDS_CAREFUL)
            transport = self._careful
        failure: TransportError | None = None
        try:
            # No local variable holds the secrets.
            response = await transport.execute(
                pyqwest.Request(
                    request.method,
                    target_of(self._config, request),
                    self._headers(headers, content),
                    _sendable(content),
                )
            )
        except ValueError:
            # The exception's message holds the header.
            failure = unsendable(headers, self._where)
        except BaseException as error:
            # pyqwest panics if it cannot start its threads; a panic is not an Exception.
            if type(error).__name__ != "PanicException":
                raise
            failure = not_sent(self._error(Failure.CONNECT, str(error)))
        if failure is not None:
            raise failure
        if response.status == 407 and self._proxy is not None:
            raise unauthorised_proxy(self._where)
        return _Opened(response)

    def failure_of(self, error: Exception) -> TransportError:
        """Return the tinkex error for an exception of pyqwest."""
        if self._fallback is not None and isinstance(error, self._fallback.errors):
            return self._fallback.failure_of(error)
        text = _reason(error)
        if wants_client_certificate(text):
            return self._error(Failure.CLIENT_CERTIFICATE, text)
        if isinstance(error, ConnectionError):
            return not_sent(self._error(*self._connect_failure(error, text)))
        if isinstance(error, pyqwest.ReadError):
            return self._error(Failure.BROKEN, text)
        is_refused = (
            "refused stream" in text
            # It waited for a connection that became an HTTP/2 one without room for it.
            or _UNSENT in str(error)
            or (isinstance(error, pyqwest.StreamError) and error.code.name == "REFUSED_STREAM")
        )
        # Over plain http the proxy is the peer.
        is_proxys = self._proxy is not None and not self._is_encrypted
        broken = self._error(Failure.PROXY if is_proxys else Failure.BROKEN, text)
        return refused(broken) if is_refused else broken

    async def aclose(self) -> None:
        """Close every connection."""
        await self._common.aclose()
        if self._careful is not None:
            await self._careful.aclose()
        if self._fallback is not None:
            await self._fallback.aclose()

    def _connect_failure(self, error: Exception, text: str) -> tuple[Failure, str]:
        if "tunnel" in text or "socks" in text:
            if "authorization required" in text:
                return Failure.PROXY, PROXY_CREDENTIALS
            return Failure.PROXY, text
        if "invalid peer certificate" in text or "received fatal alert" in text:
            return Failure.TLS, text.replace("UnknownIssuer", UNKNOWN_ISSUER)
        if self._proxy is not None and not self._is_encrypted:
            return Failure.PROXY, text
        if "dns error" in text or "invalid dns name" in text:
            # The rest repeats the resolver's internals.
            return Failure.RESOLVE, "no such name"
        if "InvalidContentType" in text:
            return Failure.CONNECT, NOT_TLS
        if isinstance(error, TimeoutError):
            return Failure.CONNECT, f"no connection within {self._connect_timeout:g} s"
        return Failure.CONNECT, text

    def _error(self, kind: Failure, text: str) -> TransportError:
        error = transport_error(kind, safe_text(text), self._where)
        if text == PROXY_CREDENTIALS:
            error.retryable = False
        return error

    def _headers(self, headers: Mapping[str, str], content: Content | None) -> pyqwest.Headers:
        found = pyqwest.Headers(tuple({**self._fixed, **headers}.items()))
        for name, value in self._credentials.revealed():
            found[name] = value
        if content is not None and not isinstance(content, bytes):
            # Without a length the body is sent in chunks, which some servers refuse.
            found["content-length"] = str(size_of(content))
        return found

    def _transport(self, idle_seconds: float) -> pyqwest.HTTPTransport:
        show = self._is_encrypted and self._config.client_cert is not None
        try:
            return pyqwest.HTTPTransport(
                tls_ca_cert=self._authorities or None,
                tls_cert=client_pem(self._config, "CERTIFICATE") if show else None,
                tls_key=client_pem(self._config, "PRIVATE KEY") if show else None,
                proxy=self._proxy_option(),
                connect_timeout=self._connect_timeout,
                pool_idle_timeout=idle_seconds,
                pool_max_idle_per_host=MOST_IDLE,
                max_connections_per_address=_most_connections(),
                # Use the system's resolver.
                use_system_dns=True,
                follow_redirects=False,
                enable_otel=False,
            )
        except (RuntimeError, ValueError):
            # The exception's text may hold a password.
            pass
        if show:
            raise unusable_client_certificate("no HTTP client can be made with them")
        raise ConfigurationError(
            "no HTTP client can be made with these settings: verify (or SSL_CERT_FILE) must name PEM "
            "certificates, and the proxy must be a URL such as http://host:3128"
        )

    def _proxy_option(self) -> pyqwest.Proxy:
        if self._proxy is None:
            # Without a proxy pyqwest reads the environment; this one matches no host.
            return pyqwest.Proxy("http://127.0.0.1:9", no_proxy="*,0.0.0.0/0,::/0")
        headers = tuple(self._proxy.headers.items())
        return pyqwest.Proxy(self._proxy.url.reveal(), headers=headers or None)


class _Opened(OpenResponse):
    """A response of pyqwest with its body still unread."""

    def __init__(self, response: pyqwest.Response) -> None:
        super().__init__(response.status, Headers(response.headers.items()))
        self._response = response
        self._content = response.content
        # The end is known from the length before the library reports it, which saves a wake-up.
        length = self.headers.get("content-length", "")
        is_known = length.isdigit() and self.headers.get("content-encoding") is None
        self._left = int(length) if is_known else math.inf

    async def next_chunk(self) -> bytes | None:
        if self._left <= 0:
            return None
        chunk = await anext(self._content, None)
        if chunk is None:
            return None
        self._left -= len(chunk)
        return bytes(chunk)

    async def aclose(self) -> None:
        await self._response.aclose()


def _reason(error: Exception) -> str:
    return _STAGE.sub("", _URL.sub("", str(error))) or type(error).__name__


def _sendable(content: Content | None) -> bytes | AsyncIterator[bytes] | None:
    return content if content is None or isinstance(content, bytes) else _pieces(content)


async def _pieces(content: Any) -> AsyncIterator[bytes]:
    import asyncio

    pieces = iter(content)
    # The content may read files, which would block the loop.
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


def _most_connections() -> int | None:
    """Return how many connections the limit on open files allows."""
    try:
        import resource
    except ImportError:
        return None
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return limit - 100 if limit >= 300 else max(4, limit // 3)


_first_user: int | None = None
_WORKERS = "TOKIO_WORKER_THREADS"


@contextlib.contextmanager
def _runtime() -> Iterator[None]:
    """Start pyqwest's runtime, which begins with the first transport, with one worker thread.

    One keeps up with the event loop. Several would wake each other for each request, which costs more
    than the request. A number that the environment sets is kept.
    """
    global _first_user
    # These loggers log the URL of each request, whose query may be a secret.
    strip_queries("pyqwest", "pyqwest.access")
    is_unset = _first_user is None and _WORKERS not in os.environ
    if is_unset:
        os.environ[_WORKERS] = "1"
    _first_user = _first_user or os.getpid()
    try:
        yield
    finally:
        if is_unset:
            os.environ.pop(_WORKERS, None)


def _is_forked() -> bool:
    """Return whether pyqwest was used before this process was forked; its threads do not exist here."""
    return _first_user is not None and _first_user != os.getpid()
