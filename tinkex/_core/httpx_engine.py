"""The HTTP engine on httpx: for injected transports, and where pyqwest cannot be used."""

from __future__ import annotations

import asyncio
import re
import socket
import ssl
from collections.abc import AsyncIterator, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from typing import Any

import httpx
from tinkex_generated.types import Request

from tinkex._base.redaction import safe_text, without_queries
from tinkex._core.credentials import Credentials
from tinkex._core.failures import (
    Failure,
    causes_of,
    strip_requests,
    transport_error,
    wants_client_certificate,
)
from tinkex._core.http import (
    CONNECT_TIMEOUT,
    NOT_TLS,
    PROXY_CREDENTIALS,
    Content,
    fixed_headers,
    not_sent,
    size_of,
    target_of,
    unauthorised_proxy,
)
from tinkex._core.response import Headers, OpenResponse
from tinkex._core.tls import client_context, tls_context
from tinkex.config import Config
from tinkex.config.proxies import ProxySettings, proxy_for, through
from tinkex.errors import ConfigurationError, TransportError

_WITHOUT_TLS = re.compile(r"WRONG_VERSION_NUMBER|HTTP_REQUEST|RECORD_LAYER_FAILURE")
# Threads of an injected blocking transport.
MOST_THREADS = 64


class HttpxEngine:
    """An HTTP engine on an `httpx.AsyncClient`.

    Args:
        config: The server, its certificates and its proxy.
        credentials: The secret headers, added at the last moment.
        http_transport: A replacement for the network, such as `httpx.MockTransport`. A blocking
            one runs in threads.
    """

    def __init__(
        self, config: Config, credentials: Credentials, http_transport: httpx.BaseTransport | None
    ) -> None:
        self._config = config
        self._credentials = credentials
        self._proxy = proxy_for(config) if http_transport is None else None
        self._where = through(config.base_url, self._proxy)
        transport: httpx.AsyncBaseTransport | None = None
        if isinstance(http_transport, httpx.BaseTransport):
            transport = _InThreads(http_transport)
        try:
            self._client = httpx.AsyncClient(
                headers=dict(fixed_headers(config)),
                auth=_KeyAuth(credentials),
                # The transport bounds each attempt as a whole.
                timeout=httpx.Timeout(None, connect=min(CONNECT_TIMEOUT, config.timeout)),
                # A kept connection may hold stray bytes, which httpx would read as the response to the next
                # request.
                limits=httpx.Limits(max_connections=None, max_keepalive_connections=0),
                follow_redirects=False,
                event_hooks={"request": [_hide_query]},
                verify=True if transport is not None else client_context(config),
                proxy=httpx_proxy(config, self._proxy),
                trust_env=False,
                transport=transport,
            )
        except (ImportError, ValueError) as error:
            # httpx's message may hold a password.
            missing = isinstance(error, ImportError)
            why = "needs a package that is not installed" if missing else "cannot be used"
        else:
            return
        raise ConfigurationError(
            f"the proxy {why}: give a http:// or https:// URL, or exempt the server in NO_PROXY"
        )

    async def open(
        self, request: Request, headers: Mapping[str, str], content: Content | None
    ) -> OpenResponse:
        """Send a request and return its response, with the body still unread."""
        sent: Any = content
        if content is not None and not isinstance(content, bytes):
            headers = {**headers, "content-length": str(size_of(content))}
            sent = _async_pieces(content)
        built = self._client.build_request(
            request.method, target_of(self._config, request), headers=headers, content=sent
        )
        # The response names a signed URL, and httpcore logs response headers.
        with without_queries() if request.path.endswith("/archive") else nullcontext():
            response = await self._client.send(built, stream=True)
        if response.status_code == 407 and self._proxy is not None:
            await response.aclose()
            raise unauthorised_proxy(self._where)
        return _Opened(response)

    # httpx does not wrap TLS alerts that arrive after the handshake.
    errors: tuple[type[Exception], ...] = (httpx.HTTPError, httpx.InvalidURL, ssl.SSLError)

    def failure_of(self, error: Exception) -> TransportError:
        """Return the tinkex error for an exception of httpx."""
        if isinstance(error, httpx.InvalidURL):
            # httpx parses a redirect's target even if it does not follow it.
            return transport_error(Failure.DECODE, "a redirect without a valid URL", self._where)
        messages = (str(cause) or type(cause).__name__ for cause in reversed([*causes_of(error)]))
        text = safe_text(str(error) or next(messages))
        if _WITHOUT_TLS.search(text):
            text = NOT_TLS
        kind = _failure_of_httpx(error)
        if self._proxy is not None and kind in (Failure.CONNECT, Failure.RESOLVE):
            # The proxy resolves the server's name, so this is about the proxy.
            kind = Failure.PROXY
        unauthorised = kind is Failure.PROXY and text.startswith("407")
        failure = transport_error(kind, PROXY_CREDENTIALS if unauthorised else text, self._where)
        if unauthorised:
            failure.retryable = False
        strip_requests(error)
        was_sent = not isinstance(
            error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError
        )
        return failure if was_sent else not_sent(failure)

    async def aclose(self) -> None:
        """Close every connection."""
        await self._client.aclose()


class _KeyAuth(httpx.Auth):
    """The secret headers, added to requests at the last moment."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        for header, value in self._credentials.revealed():
            request.headers[header] = value
        yield request


class _InThreads(httpx.AsyncBaseTransport):
    """A blocking transport, run in threads."""

    def __init__(self, transport: httpx.BaseTransport) -> None:
        self._transport = transport
        self._threads = ThreadPoolExecutor(MOST_THREADS, "tinkex-injected")

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        run = asyncio.get_running_loop().run_in_executor
        response = await run(self._threads, self._transport.handle_request, request)
        stream = response.stream
        if not isinstance(stream, httpx.AsyncByteStream):
            response.stream = _Pieces(stream, self._threads)
        return response

    async def aclose(self) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        self._transport.close()


class _Pieces(httpx.AsyncByteStream):
    """A blocking response body, read in threads."""

    def __init__(self, stream: httpx.SyncByteStream, threads: ThreadPoolExecutor) -> None:
        self._stream = stream
        self._threads = threads

    async def __aiter__(self) -> AsyncIterator[bytes]:
        pieces = iter(self._stream)
        run = asyncio.get_running_loop().run_in_executor
        while (piece := await run(self._threads, next, pieces, None)) is not None:
            yield piece

    async def aclose(self) -> None:
        self._stream.close()


class _Opened(OpenResponse):
    """A response of httpx with its body still unread."""

    def __init__(self, response: httpx.Response) -> None:
        headers = Headers(response.headers.multi_items())
        super().__init__(response.status_code, headers, response.reason_phrase)
        self._response = response
        self._chunks = response.aiter_bytes()

    async def next_chunk(self) -> bytes | None:
        return await anext(self._chunks, None)

    async def aclose(self) -> None:
        await self._response.aclose()


class _WithoutQuery(httpx.URL):
    """A URL whose text omits the query, which may be a signature."""

    def __str__(self) -> str:
        return super().__str__().partition("?")[0]

    def __repr__(self) -> str:
        return f"URL({str(self)!r})"


def httpx_proxy(config: Config, proxy: ProxySettings | None) -> httpx.Proxy | None:
    """Return a proxy in the form of httpx; an https:// one is verified as the settings say."""
    if proxy is None:
        return None
    # httpx itself would verify it with the authorities of certifi; httpcore refuses a context for others.
    context = tls_context(config) if proxy.is_encrypted else None
    return httpx.Proxy(proxy.url.reveal(), ssl_context=context, headers=dict(proxy.headers))


async def _hide_query(request: httpx.Request) -> None:
    """Keep the query out of httpx's log lines; the request itself is unchanged."""
    request.url = _WithoutQuery(request.url)


async def _async_pieces(content: Any) -> AsyncIterator[bytes]:
    pieces = iter(content)
    while (piece := await asyncio.to_thread(next, pieces, None)) is not None:
        yield piece


def _failure_of_httpx(error: Exception) -> Failure:
    if wants_client_certificate(str(error)):
        return Failure.CLIENT_CERTIFICATE
    causes = list(causes_of(error))
    if isinstance(error, httpx.ProxyError):
        return Failure.PROXY
    if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
        return Failure.TLS
    if any(isinstance(cause, socket.gaierror) for cause in causes):
        return Failure.RESOLVE
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout):
        return Failure.CONNECT
    if isinstance(error, httpx.TimeoutException):
        return Failure.TIMEOUT
    if isinstance(error, httpx.DecodingError):
        return Failure.DECODE
    if isinstance(error, httpx.LocalProtocolError | httpx.UnsupportedProtocol):
        return Failure.REQUEST
    return Failure.BROKEN
