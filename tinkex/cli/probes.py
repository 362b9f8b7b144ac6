"""The layers between a user and a sample, each tried by itself."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from urllib.parse import urlsplit

from attrs import frozen

from tinkex._core.tls import tls_context
from tinkex.cli.auth import key_name
from tinkex.cli.failures import CREDENTIALS, explained
from tinkex.config import Config
from tinkex.config.proxies import proxy_for
from tinkex.errors import AuthenticationError, NotFoundError, TinkexError, TokenizerError
from tinkex.service import ServiceClient
from tinkex.types import ModelInput, SamplingParams

# Seconds for a layer without its own time limit.
PATIENCE = 10.0
SAMPLE_PATIENCE = 120.0


class Skip(Exception):  # noqa: N818 - no error: the layer is not there
    """The reason why a layer was skipped."""


@frozen
class Finding:
    """The result of a layer.

    Attributes:
        layer: Its name.
        verdict: "ok", "failed" or "skipped".
        seconds: How long it took.
        detail: What was found, or what to do.
        code: The exit code that names the layer, if it failed.
    """

    layer: str
    verdict: str
    seconds: float
    detail: str
    code: int = 0


class Probes:
    """Try one layer after the other.

    Args:
        service: Opened, without retries.
        base_model: Model for the sample; the first that can be sampled from, if None.
        with_sample: Whether there is one.
    """

    def __init__(self, service: ServiceClient, base_model: str | None, with_sample: bool) -> None:
        self._service = service
        self._config: Config = service.config.with_base_url(service.base_url)
        self._base_model = base_model
        self._with_sample = with_sample
        parts = urlsplit(self._config.base_url)
        self._host = parts.hostname or ""
        self._is_https = parts.scheme == "https"
        self._port = parts.port or (443 if self._is_https else 80)
        self._proxied = proxy_for(self._config) is not None
        self.layers: tuple[tuple[str, int, Callable[[], str]], ...] = (
            ("dns", 10, self._dns),
            ("tcp", 11, self._tcp),
            ("tls", 12, self._tls),
            ("server", 13, self._server),
            ("key", CREDENTIALS, self._key),
            ("capabilities", 14, self._capabilities),
            ("session", 15, self._session),
            ("sample", 16, self._sample),
        )

    def try_layer(self, name: str, code: int, probe: Callable[[], str]) -> Finding:
        """Try one layer and say how it did."""
        began = time.perf_counter()
        try:
            detail = probe()
        except Skip as skip:
            return Finding(name, "skipped", time.perf_counter() - began, str(skip))
        except (TinkexError, OSError) as error:
            seconds = time.perf_counter() - began
            if isinstance(error, AuthenticationError):
                code = CREDENTIALS
            return Finding(name, "failed", seconds, explained(error)[0] or str(error), code)
        return Finding(name, "ok", time.perf_counter() - began, detail)

    def _dns(self) -> str:
        self._skip_behind_proxy()
        try:
            found = socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM)
        except socket.gaierror as error:
            raise OSError(
                f"{self._host} is not found ({error.strerror}): check --base-url and the network"
            ) from None
        addresses = dict.fromkeys(str(entry[4][0]) for entry in found)
        return f"{self._host} is {', '.join(addresses)}"

    def _tcp(self) -> str:
        self._skip_behind_proxy()
        with self._connected():
            return f"port {self._port} is open"

    def _tls(self) -> str:
        if not self._is_https:
            raise Skip("the URL is http")
        self._skip_behind_proxy()
        context = tls_context(self._config)
        with (
            self._connected() as raw,
            context.wrap_socket(raw, server_hostname=self._host) as wrapped,
        ):
            return f"{wrapped.version()}, the certificate is good"

    def _server(self) -> str:
        return f"says that it is {self._service.health_check().status!r}"

    def _key(self) -> str:
        key = self._config.api_key
        if key is None and self._config.is_loopback:
            raise Skip("none is set, and a server on this machine needs none")
        # None is set where a command or a file gives it.
        shown = key.masked() if key is not None else "the key"
        try:
            name = key_name(self._service.create_rest_client())
        except NotFoundError:
            raise Skip("the server has no route to try it on") from None
        return f"{shown} is {name!r}" if name is not None else f"{shown} is accepted"

    def _capabilities(self) -> str:
        models = self._service.get_server_capabilities().supported_models
        names = [model.model_name for model in models if model.model_name]
        if self._base_model is None:
            fit = [model.model_name for model in models if model.sampleable is not False]
            self._base_model = next((name for name in fit if name), None)
        elif self._base_model not in names:
            raise OSError(f"{self._base_model} is not among its models: {', '.join(names)}")
        return f"{len(names)} models: {', '.join(names[:3])}{' ...' if len(names) > 3 else ''}"

    def _session(self) -> str:
        return f"{self._service.session.id} began"

    def _sample(self) -> str:
        if not self._with_sample:
            raise Skip("not asked for")
        if self._base_model is None:
            raise Skip("the server names no model to sample from; choose one with --base-model")
        sampler = self._service.create_sampling_client(base_model=self._base_model)
        try:
            tokens = sampler.get_tokenizer().encode("Hello")
        except TokenizerError:
            # To draw one, any token will do.
            tokens = [1]
        asked = sampler.sample(ModelInput.from_ints(tokens), 1, SamplingParams(max_tokens=1))
        drawn = asked.result(SAMPLE_PATIENCE).sequences[0]
        return f"{self._base_model} drew {len(drawn.tokens)} token"

    def _connected(self) -> socket.socket:
        try:
            return socket.create_connection((self._host, self._port), timeout=PATIENCE)
        except OSError as error:
            raise OSError(
                f"port {self._port} of {self._host} does not respond ({error}): is the server "
                "running, does a firewall stand between?"
            ) from None

    def _skip_behind_proxy(self) -> None:
        if self._proxied:
            raise Skip("a proxy stands between")
