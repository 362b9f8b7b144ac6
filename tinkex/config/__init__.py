"""Settings from arguments, environment and defaults, each with its source."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Mapping
from typing import Any, Literal, Self
from urllib.parse import SplitResult, urlsplit

from attrs import field, fields, frozen

from tinkex._base.redaction import hide
from tinkex._base.secret import Secret
from tinkex._base.urls import is_loopback_host, split_url
from tinkex._base.version import SDK_VERSION
from tinkex.config.proxies import parse_proxy
from tinkex.config.settings import SETTINGS
from tinkex.errors import ConfigurationError, MissingCredentialsError

HOSTED_BASE_URL = "https://tinker.thinkingmachines.dev/services/tinker-prod"
LOCAL = "local"
CREDENTIALS_FILE = ".tinker/credentials.json"
_KEY_PREFIXES = ("tml-", "eyJ")

# The values of headers and parameters with such names are not shown.
_SECRET_NAME = re.compile(
    r"auth|cookie|credential|(?<!idempotency-)key|passw|secret|signature|token", re.IGNORECASE
)


def redact_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return a copy of the headers that is safe to show."""
    return {
        name: "[REDACTED]" if _SECRET_NAME.search(name) else value
        for name, value in headers.items()
    }


def _shown(value: object) -> str:
    if isinstance(value, Secret):
        return value.masked()
    if isinstance(value, Mapping):
        return json.dumps(redact_headers({str(k): str(v) for k, v in value.items()}))
    if isinstance(value, tuple):
        return ", ".join(map(str, value)) or "none"
    return "none" if value is None else str(value)


@frozen(kw_only=True, init=False)
class Config:
    """Every setting of a client, and its source.

    >>> config = Config.resolve(base_url="local", environ={})
    >>> config.base_url, config.sources["base_url"]
    ('local', 'argument')

    `Config.resolve` also reads the environment. ``Config(...)`` uses only its arguments and the defaults;
    it converts and checks values in the same way, and so does ``attrs.evolve``.

    Attributes:
        api_key: The API key; None if it comes from a function, a command or a file, and for a server on
            this machine, which needs none.
        credential_cmd: A command that prints the key.
        credentials_file: A file that holds the key, see `tinkex.credentials.CredentialsFile`.
        base_url: The server's URL with its path prefix, or "local" for the embedded server.
        project_id: The project that new sessions belong to.
        timeout: Seconds per HTTP attempt.
        http_pool: Name of the client's connection pool in events and log lines. Each client has its own
            pool.
        max_retries: Attempts after the first one.
        breaker_failures: Consecutive failed calls of one operation that open its circuit breaker, see
            `tinkex.retry`; None disables the breakers.
        breaker_reset: Seconds that a circuit breaker stays open.
        display_name: The name of new sessions, for people.
        tags: Labels of new sessions.
        user_metadata: Key-value pairs stored with new sessions.
        feature_gates: Client-side switches; never sent.
        telemetry: Whether each session reports its start, its end and its errors to the server; off by
            default, and always off where DO_NOT_TRACK is set.
        log_level: Level that `tinkex.enable_logging` uses, or None.
        cf_access_client_id: Cloudflare Access id, sent with each request.
        cf_access_client_secret: Cloudflare Access secret, sent with each request.
        dump_headers: Whether requests are logged with their (redacted) headers.
        proxy: URL of a proxy; None uses HTTP_PROXY and the like.
        proxy_headers: Headers for the proxy.
        default_headers: Headers added to each request.
        default_query: Query parameters added to each request.
        verify: Whether certificates are checked, or the path of a CA bundle.
        client_cert: A PEM file with the client's TLS certificate and its chain; it may also hold the
            key.
        client_key: A PEM file with that certificate's private key, unencrypted.
        wire_format: Format of batches: "protobuf", "json", or "auto" for whichever the server accepts.
        allow_insecure: Whether plain http to another machine is allowed.
        sdk_version: The protocol version that is reported to servers.
        chunk_len: Most data per request of a batch; None uses the server's value, else 1,024.
        chunk_bytes: Estimated bytes per request of a batch; None: the server's value, else 5,000,000.
        samples_in_flight: Most concurrent samples, over all samplers of this process with the same
            server and key; None: the server's value, else 2,000.
        prompt_bytes: Estimated bytes of prompts sent concurrently; None: the server's value, else 10 MiB.
        response_bytes: Bytes of large responses fetched concurrently; None: the server's value, else
            50 MiB.
        offline: Whether tokenizers are only loaded from this machine.
        cache_dir: Folder of converted tokenizers; None uses the user's cache folder.
        tracing: Whether calls are recorded as OpenTelemetry spans, and requests carry the trace context.
        key_function: Returns the key, if `api_key` was given as a function.
        sources: For each setting "argument", "environment NAME" or "default".
    """

    api_key: Secret | None = None
    credential_cmd: Secret | None = None
    credentials_file: str | None = None
    base_url: str = HOSTED_BASE_URL
    project_id: str | None = None
    timeout: float = 60.0
    http_pool: str = "default"
    max_retries: int = 10
    breaker_failures: int | None = None
    breaker_reset: float = 30.0
    display_name: str | None = None
    tags: tuple[str, ...] = ()
    user_metadata: Mapping[str, str] = field(factory=dict)
    feature_gates: tuple[str, ...] = ("async_sampling",)
    telemetry: bool = False
    log_level: str | None = None
    cf_access_client_id: str | None = None
    cf_access_client_secret: Secret | None = None
    dump_headers: bool = False
    proxy: Secret | None = None
    proxy_headers: Mapping[str, str] = field(factory=dict, repr=False)
    default_headers: Mapping[str, str] = field(factory=dict, repr=_shown)
    default_query: Mapping[str, str] = field(factory=dict, repr=_shown)
    verify: bool | str = True
    client_cert: str | None = None
    client_key: str | None = None
    wire_format: Literal["auto", "protobuf", "json"] = "auto"
    allow_insecure: bool = False
    sdk_version: str = SDK_VERSION
    chunk_len: int | None = None
    chunk_bytes: int | None = None
    samples_in_flight: int | None = None
    prompt_bytes: int | None = None
    response_bytes: int | None = None
    offline: bool = False
    cache_dir: str | None = None
    tracing: bool = False
    key_function: Callable[[], str | Secret] | None = field(default=None, repr=False)
    sources: Mapping[str, str] = field(factory=dict, repr=False, eq=False)

    def __init__(self, **settings: Any) -> None:
        sources = settings.pop("sources", None)
        # `attrs.evolve` passes the function under its own name.
        key_function = settings.pop("key_function", None)
        if key_function is not None:
            settings["api_key"] = key_function
        try:
            values = _values_of(settle(settings, environ={}))
        except ConfigurationError:
            # Frame variables must be safe to show, for debuggers.
            self.__attrs_init__()
            raise
        self.__attrs_init__(**{**values, "sources": sources or values["sources"]})

    def __attrs_post_init__(self) -> None:
        # A proxy's password was registered when its URL was parsed.
        hide(self.api_key, self.credential_cmd, self.cf_access_client_secret)
        for pairs in (self.default_headers, self.proxy_headers, self.default_query):
            hide(*(value for name, value in pairs.items() if _SECRET_NAME.search(name)))

    @classmethod
    def resolve(cls, *, environ: Mapping[str, str] | None = None, **arguments: Any) -> Config:
        """Read and check every setting.

        An argument that is not None wins over the environment, which wins over the default; False,
        0 and empty containers are values like any other.

        Raises:
            ConfigurationError: A setting is invalid; the message names it and its source.
            MissingCredentialsError: No API key was found and the server is not on this machine.
        """
        found = _resolved(arguments, os.environ if environ is None else environ, None)
        # These hold the keys: a traceback that shows the variables of its frames would show them.
        arguments.clear()
        del environ
        return _or_raise(found)

    @classmethod
    def unchecked(cls, **values: Any) -> Self:
        """Return settings without conversion or checks, to show them.

        Args:
            values: Any attributes of `Config`.
        """
        config = cls.__new__(cls)
        config.__attrs_init__(**values)
        return config

    @property
    def is_local(self) -> bool:
        """Return whether the settings name the embedded server."""
        return self.base_url == LOCAL

    @property
    def is_loopback(self) -> bool:
        """Return whether the server is on this machine."""
        return self.is_local or is_loopback_host(urlsplit(self.base_url).hostname or "")

    @property
    def account(self) -> object:
        """Return what identifies the user of a server: the key, or its source."""
        return self.api_key or self.key_function or self.credential_cmd or self.credentials_file

    def with_base_url(self, base_url: str, api_key: Secret | None = None) -> Config:
        """Return a copy for another server, optionally with that server's key."""
        values = {**_values_of(self), "base_url": base_url}
        return self.unchecked(**values | ({"api_key": api_key} if api_key else {}))

    def without_key(self) -> Config:
        """Return a copy without the key, for a server that must not get it."""
        return self.unchecked(**{**_values_of(self), **dict.fromkeys(_KEY_SOURCES)})

    @property
    def proxy_address(self) -> str | None:
        """Return the proxy's URL without user name and password."""
        proxy = parse_proxy(self.proxy.reveal()) if self.proxy else None
        return proxy.address if proxy else None

    def describe(self) -> list[tuple[str, str, str]]:
        """Return (setting, value with secrets masked, source) tuples, to show to people."""
        shown = {name: _shown(getattr(self, name)) for name in SETTINGS}
        shown["proxy"] = self.proxy_address or "none"
        if self.key_function is not None:
            shown["api_key"] = "returned by a function"
        return [(name, text, self.sources.get(name, "default")) for name, text in shown.items()]


# Possible sources of the key; the first one that is given wins.
_KEY_SOURCES = ("key_function", "api_key", "credential_cmd", "credentials_file")


def _values_of(config: Config) -> dict[str, Any]:
    return {one.name: getattr(config, one.name) for one in fields(Config)}


def settle(
    arguments: dict[str, Any],
    base: Config | None = None,
    environ: Mapping[str, str] | None = None,
) -> Config:
    """Return checked settings: arguments before `base`, or before the environment.

    Args:
        arguments: The settings by name; None means not given. Emptied by the call, so that no frame of
            a traceback holds a secret.
        base: The fallback for arguments, in place of the environment.
        environ: The environment; the process's own by default.

    Raises:
        ConfigurationError: A setting is invalid; the message names it and its source.
        MissingCredentialsError: No API key was found and the server is not on this machine.
    """
    if base is not None:
        environ = {}
    found = _resolved(arguments, os.environ if environ is None else environ, base)
    arguments.clear()
    del environ
    return _or_raise(found)


def _or_raise(found: Config | ConfigurationError) -> Config:
    if isinstance(found, Config):
        return found
    raise found


def _resolved(
    arguments: Mapping[str, Any], environ: Mapping[str, str], base: Config | None
) -> Config | ConfigurationError:
    """Return the settings, or the error, with no frames or causes attached."""
    try:
        return _checked(_read(arguments, environ, base))
    except ConfigurationError as error:
        problem = error.with_traceback(None)
    problem.__context__ = None
    return problem


def _read(arguments: Mapping[str, Any], environ: Mapping[str, str], base: Config | None) -> Config:
    unknown = sorted(set(arguments) - set(SETTINGS))
    if unknown:
        raise ConfigurationError(_unknown(unknown[0]))
    values: dict[str, Any] = {} if base is None else _values_of(base)
    sources: dict[str, str] = {} if base is None else dict(base.sources)
    if any(arguments.get(name) is not None for name in _KEY_SOURCES):
        # A key that is given now replaces the previous source.
        values = {name: value for name, value in values.items() if name not in _KEY_SOURCES}
    for name, setting in SETTINGS.items():
        found, value, source = setting.look_up(name, arguments.get(name), environ)
        if found:
            values[name] = value
        if found or base is None:
            sources[name] = source
    if values.get("telemetry") and environ.get("DO_NOT_TRACK", "").strip() not in {"", "0"}:
        # The user's environment overrides the program's arguments.
        values["telemetry"], sources["telemetry"] = False, "environment DO_NOT_TRACK"
    if callable(values.get("api_key")):
        values["key_function"] = values.pop("api_key")
    values = _one_key_source(values, sources, environ)
    return Config.unchecked(**{**values, "sources": sources})


def _unknown(name: str) -> str:
    from difflib import get_close_matches

    near = get_close_matches(name, SETTINGS, n=1)
    return (
        f"unknown setting {name!r}"
        + (f": did you mean {near[0]!r}?" if near else "")
        + (f" There are: {', '.join(sorted(SETTINGS))}")
    )


def _one_key_source(
    values: dict[str, Any], sources: dict[str, str], environ: Mapping[str, str]
) -> dict[str, Any]:
    """Keep the first of key, command and file; arguments before variables."""
    sources = {**sources, "key_function": "argument"}
    given = [name for name in _KEY_SOURCES if values.get(name) is not None]
    home = environ.get("HOME") or environ.get("USERPROFILE")
    if not given and home and os.path.lexists(stored := f"{home}/{CREDENTIALS_FILE}"):
        return {**values, "credentials_file": stored}
    given.sort(key=lambda name: sources.get(name) != "argument")
    return {name: value for name, value in values.items() if name not in given[1:]}


def _checked(config: Config) -> Config:
    """Check the settings that depend on each other: the URL and the key for it."""
    if config.client_key is not None and config.client_cert is None:
        raise ConfigurationError(
            "client_key needs client_cert, the certificate that it belongs to "
            f"(from {config.sources.get('client_key', 'argument')})"
        )
    if config.is_local:
        return _own_key_sources(config)
    source = _source_of_url(config)
    if "@" in config.base_url:
        # Not shown: the part before the @ is usually a password.
        raise ConfigurationError(
            f"base_url must not hold a user name or password: use default_headers (from {source})"
        )
    parts = split_url(config.base_url)
    if parts is None or parts.scheme not in {"http", "https"}:
        is_key = config.base_url.startswith(_KEY_PREFIXES)
        given = "an API key" if is_key else repr(config.base_url.partition("?")[0])
        raise ConfigurationError(
            f"base_url must be an http(s) URL or 'local', not {given} (from {source})"
        )
    if parts.query or parts.fragment:
        raise ConfigurationError(
            f"base_url must end with its path: use default_query for parameters (from {source})"
        )
    _check_scheme(config, parts)
    _check_key(config)
    return _own_key_sources(config).with_base_url(config.base_url.rstrip("/"))


def _check_scheme(config: Config, parts: SplitResult) -> None:
    if parts.scheme == "http" and not config.is_loopback and not config.allow_insecure:
        raise ConfigurationError(
            f"base_url {config.base_url!r} would send the API key unencrypted to another machine: "
            "use https, or pass allow_insecure=True (TINKEX_ALLOW_INSECURE=1) on a network you trust "
            f"(from {_source_of_url(config)})"
        )


def _own_key_sources(config: Config) -> Config:
    """Return the settings without key sources of other services, for a server on this machine."""
    if not config.is_loopback:
        return config
    command = config.credential_cmd if _is_argument(config, "credential_cmd") else None
    file = config.credentials_file if _is_argument(config, "credentials_file") else None
    changed = {"credential_cmd": command, "credentials_file": file}
    return config.unchecked(**{**_values_of(config), **changed})


def _source_of_url(config: Config) -> str:
    return config.sources.get("base_url", "default")


def _is_argument(config: Config, name: str) -> bool:
    return config.sources.get(name) == "argument"


def _check_key(config: Config) -> None:
    if config.is_loopback or config.key_function or config.credential_cmd:
        return
    if config.api_key is None and config.credentials_file is None:
        raise MissingCredentialsError(
            "api_key is required for the hosted service and none was found, neither in "
            f"TINKER_API_KEY nor by TINKER_CREDENTIAL_CMD nor in ~/{CREDENTIALS_FILE}. Two ways out: "
            "set TINKER_API_KEY (or pass api_key=...), or work offline with the embedded local "
            "server: set TINKER_BASE_URL=local (or pass base_url='local')"
        )
    if config.api_key is not None and not config.api_key.reveal().startswith(_KEY_PREFIXES):
        raise ConfigurationError(
            "api_key must start with the 'tml-' prefix (or be a JWT, 'eyJ...'): was another service's "
            f"key set? (from {config.sources.get('api_key', 'argument')})"
        )
