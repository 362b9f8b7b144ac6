"""Make the HTTP client that carries every request: headers, key, certificates, proxy."""

from __future__ import annotations

import logging
import platform
import ssl
from collections.abc import Generator, Mapping

import httpx

from tinkex._version import __version__
from tinkex.config import Config
from tinkex.errors import ConfigurationError
from tinkex.secret import Secret

log = logging.getLogger("tinkex.transport")

CONNECT_TIMEOUT = 5.0


class KeyAuth(httpx.Auth):
    """Put the API key on requests at the last moment, so that no other object holds it."""

    def __init__(self, config: Config) -> None:
        secrets = {
            "X-API-Key": config.api_key,
            "CF-Access-Client-Secret": config.cf_access_client_secret,
        }
        self._secrets = {name: secret for name, secret in secrets.items() if secret}
        self._never_shown = [*self._secrets.values(), *filter(None, [config.proxy])]

    @property
    def header_names(self) -> tuple[str, ...]:
        """Return the names of the headers that are set."""
        return tuple(self._secrets)

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        """Set the headers of one request."""
        for header, secret in self._secrets.items():
            request.headers[header] = secret.reveal()
        yield request

    def hide(self, secret: Secret) -> None:
        """Mask one more secret in what servers say."""
        if secret not in self._never_shown:
            self._never_shown = [*self._never_shown, secret]

    def redact(self, text: str) -> str:
        """Return the text with the secrets masked, wherever a server may have echoed them."""
        for secret in self._never_shown:
            text = secret.redact(text)
        return text


def open_client(
    config: Config, auth: httpx.Auth, http_transport: httpx.BaseTransport | None
) -> httpx.Client:
    """Return an HTTP client for the configured server.

    Raises:
        ConfigurationError: The proxy or the CA bundle cannot be used.
    """
    if config.verify is False:
        log.warning(
            "certificates are not checked (verify=False): anybody on the way can read along"
        )
    try:
        return httpx.Client(
            headers=_fixed_headers(config),
            auth=auth,
            params=dict(config.default_query),
            timeout=timeout(config.timeout),
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=64),
            follow_redirects=False,
            verify=_verification(config.verify),
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


def _fixed_headers(config: Config) -> httpx.Headers:
    system, machine = platform.system(), platform.machine()
    headers = httpx.Headers(
        {
            "Accept": "application/json",
            "User-Agent": f"Tinkex/Python {__version__}",
            "X-Stainless-Package-Version": config.sdk_version,
            "X-Stainless-OS": {"Darwin": "MacOS"}.get(system, system or "Unknown"),
            "X-Stainless-Arch": _ARCHITECTURES.get(machine, machine or "unknown"),
            "X-Stainless-Runtime": platform.python_implementation(),
            "X-Stainless-Runtime-Version": platform.python_version(),
            "X-Stainless-Async": "false",
        }
    )
    if config.cf_access_client_id:
        headers["CF-Access-Client-Id"] = config.cf_access_client_id
    headers.update(config.default_headers)
    return headers


_ARCHITECTURES: Mapping[str, str] = {"x86_64": "x64", "AMD64": "x64", "aarch64": "arm64"}


def _verification(verify: bool | str) -> ssl.SSLContext | bool:
    if isinstance(verify, bool):
        return verify
    try:
        return ssl.create_default_context(cafile=verify)
    except OSError as error:
        raise ConfigurationError(
            f"verify names {verify!r}, which is no usable CA bundle ({error}); it must hold PEM "
            "certificates"
        ) from None


def _proxy(config: Config) -> httpx.Proxy | None:
    if config.proxy is None:
        return None
    headers = httpx.Headers(config.proxy_headers)
    # Explicit headers win over what the URL says about who we are; both would be sent otherwise.
    explicit = "Proxy-Authorization" in headers and config.proxy_address is not None
    url = config.proxy_address if explicit else config.proxy.reveal()
    return httpx.Proxy(url or "", headers=headers)
