"""Carry requests by httpx, where a proxy or a transport of the caller's stands in between."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import Any

import httpx

from tinkex.config import Config
from tinkex.errors import ConfigurationError, DecodeError
from tinkex.transport.answer import Broken, Reply
from tinkex.transport.body import Body
from tinkex.transport.credentials import Credentials
from tinkex.transport.direct import CONNECT_TIMEOUT
from tinkex.transport.failures import Failure, causes_of, printable, transport_error
from tinkex.transport.log_redaction import without_queries
from tinkex.transport.proxies import ProxyLeg, proxy_address, proxy_of, proxy_secrets
from tinkex.transport.tls import tls_context
from tinkex.transport.unshown import HIDE_QUERY


class KeyAuth(httpx.Auth):
    """Put the credentials on requests at the last moment."""

    def __init__(self, credentials: Credentials) -> None:
        self._credentials = credentials

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Set the headers of one request."""
        for header, value in self._credentials.revealed():
            request.headers[header] = value
        yield request


class ByHttpx:
    """Send requests by httpx: through proxies, and over transports that are handed in."""

    def __init__(
        self,
        config: Config,
        credentials: Credentials,
        fixed_headers: Mapping[str, str],
        http_transport: httpx.BaseTransport | None,
    ) -> None:
        self.fixed_headers = fixed_headers
        self._base_url = config.base_url
        proxy = None if http_transport and config.proxy is None else proxy_of(config)
        self._has_proxy = proxy is not None
        self._where = self._base_url
        if proxy is not None:
            self._where += f" through the proxy {proxy_address(proxy)}"
            for secret in proxy_secrets(proxy):
                credentials.hide(secret)
        self._credentials = credentials
        self._client = open_client(config, KeyAuth(credentials), fixed_headers, http_transport)

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
        del may_repeat
        if content is not None and not isinstance(content, bytes):
            # Without it httpx sends chunks, which some servers do not take.
            headers = {**headers, "content-length": str(content.size)}
        # The answer names a signed URL, and httpcore logs the headers of answers.
        answers_with_secret = path.endswith("/archive")
        try:
            with without_queries() if answers_with_secret else nullcontext():
                response = self._client.request(
                    method,
                    self._base_url + path,
                    params=params or None,
                    headers=headers,
                    content=content,
                    timeout=timeout(seconds) if seconds else httpx.USE_CLIENT_DEFAULT,
                    extensions=self._extensions(),
                )
        except httpx.HTTPError as error:
            return self._broken(error)
        except httpx.InvalidURL:
            # httpx reads a redirect's target even where it is not to be followed.
            return Broken(
                DecodeError(f"{self._where} answered with a redirect that names no URL"), True
            )
        if response.status_code == 407 and self._has_proxy:
            return self._unauthorised()
        return _reply(response)

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        params: Mapping[str, Any],
        headers: Mapping[str, str],
        content: Body | None,
        seconds: float | None,
    ) -> Iterator[httpx.Response | Reply | Broken]:
        """Send a request and hand out its answer while it comes; an error status comes whole."""
        with self._client.stream(
            method,
            self._base_url + path,
            params=params or None,
            headers=headers,
            content=content,
            timeout=timeout(seconds) if seconds else httpx.USE_CLIENT_DEFAULT,
            extensions=self._extensions(),
        ) as response:
            if response.is_success:
                yield response
                return
            response.read()
            is_proxys = response.status_code == 407 and self._has_proxy
            yield self._unauthorised() if is_proxys else _reply(response)

    def close(self) -> None:
        """Close every connection."""
        self._client.close()

    def failure_of(self, error: Exception) -> Broken | None:
        """Return what an error of a stream means, if it is one of ours."""
        return self._broken(error) if isinstance(error, httpx.HTTPError) else None

    def _extensions(self) -> dict[str, Any] | None:
        return {"trace": ProxyLeg()} if self._has_proxy else None

    def _broken(self, error: httpx.HTTPError) -> Broken:
        text = self._credentials.redact(printable(str(error))) or type(error).__name__
        failure = _failure(error, text)
        leg = _proxy_leg(error)
        if self._has_proxy and failure in (Failure.CONNECT, Failure.RESOLVE):
            # The server itself is the proxy's to find.
            failure = Failure.PROXY
        if failure is Failure.BROKEN and leg is not None and leg.waits_for_proxy:
            failure = Failure.PROXY
        if failure is Failure.TIMEOUT:
            text = type(error).__name__
        if failure is Failure.PROXY and text.startswith("407"):
            return self._unauthorised()
        was_sent = _was_sent(error) and not (leg is not None and leg.waits_for_tunnel)
        return Broken(transport_error(failure, text, self._where), was_sent)

    def _unauthorised(self) -> Broken:
        text = "it asks for a user name and a password (HTTP 407); put them into its URL"
        error = transport_error(Failure.PROXY, text, self._where)
        error.retryable = False
        return Broken(error, False)


def _proxy_leg(error: httpx.HTTPError) -> ProxyLeg | None:
    try:
        leg = error.request.extensions.get("trace")
    except RuntimeError:
        # httpx knows no request for it.
        return None
    return leg if isinstance(leg, ProxyLeg) else None


def _reply(response: httpx.Response) -> Reply:
    return Reply(response.status_code, response.headers, response.content, response.reason_phrase)


def _failure(error: httpx.HTTPError, text: str) -> Failure:
    causes = list(causes_of(error))
    if isinstance(error, httpx.ProxyError):
        return Failure.PROXY
    if any(isinstance(cause, ssl.SSLError) for cause in causes):
        return Failure.TLS
    if any(isinstance(cause, socket.gaierror) for cause in causes) or "Name or service" in text:
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


def _was_sent(error: httpx.HTTPError) -> bool:
    return not isinstance(
        error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout | httpx.ProxyError
    )


def open_client(
    config: Config,
    auth: httpx.Auth,
    fixed_headers: Mapping[str, str],
    http_transport: httpx.BaseTransport | None,
) -> httpx.Client:
    """Return an HTTP client for the configured server.

    Raises:
        ConfigurationError: The proxy or the CA bundle cannot be used.
    """
    try:
        return httpx.Client(
            headers=dict(fixed_headers),
            auth=auth,
            params=dict(config.default_query),
            timeout=timeout(config.timeout),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            follow_redirects=False,
            event_hooks=HIDE_QUERY,
            # A transport that was handed in has its own; reading the authorities takes a while.
            verify=True if http_transport and config.verify is True else tls_context(config),
            # httpx would go through the proxy all the same.
            proxy=None if http_transport else _proxy(config),
            # A proxy for the outside world would only break the way to this machine itself.
            trust_env=not config.is_loopback,
            transport=http_transport,
        )
    except (ImportError, ValueError) as error:
        # httpx finds these in HTTPS_PROXY and its relatives; its message may show a password.
        why = "needs a package that is not installed" if isinstance(error, ImportError) else "fails"
    raise ConfigurationError(
        f"the proxy in HTTPS_PROXY, HTTP_PROXY or ALL_PROXY {why}: set a http:// or https:// proxy "
        "there or in TINKEX_PROXY, or exempt the server in NO_PROXY"
    )


def timeout(seconds: float) -> httpx.Timeout:
    """Return the limits of one attempt: the seconds for each phase, less for connecting."""
    return httpx.Timeout(seconds, connect=min(CONNECT_TIMEOUT, seconds))


def _proxy(config: Config) -> httpx.Proxy | None:
    if config.proxy is None:
        return None
    headers = httpx.Headers(config.proxy_headers)
    # Explicit headers win over what the URL says about who we are; both would be sent otherwise.
    explicit = "Proxy-Authorization" in headers and config.proxy_address is not None
    url = config.proxy_address if explicit else config.proxy.reveal()
    return httpx.Proxy(url or "", headers=headers)
