"""The server's configuration for its clients, where it has one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import TypeVar

from attrs import field, frozen
from tinkex_generated.api.service import auth_token, client_config, client_dynamic_config
from tinkex_generated.errors import ParseError
from tinkex_generated.models import (
    AuthTokenRequest,
    ClientConfigRequest,
    ClientConfigResponse,
    ClientDynamicConfigResponse,
)
from tinkex_generated.types import Request, loads

from tinkex._base.redaction import safe_text
from tinkex._core.limits import Limits
from tinkex._core.retry import RetryPolicy
from tinkex._core.transport import Transport
from tinkex.config import Config
from tinkex.errors import TransportError

T = TypeVar("T")

log = logging.getLogger("tinkex.session")

# The configuration is optional, so the wait for it is short.
HINTS_TIMEOUT = 5.0
TOKEN_PATIENCE = RetryPolicy(max_attempts=4, deadline=30.0)

# The server's name of each limit.
_HINTED = {
    "chunk_len": "fwdbwd_max_chunk_len",
    "chunk_bytes": "fwdbwd_max_chunk_bytes_count",
    "samples_in_flight": "sample_max_concurrent_requests",
    "prompt_bytes": "sample_dispatch_bytes_semaphore_size",
    "response_bytes": "inflight_response_bytes_semaphore_size",
}


@frozen
class ServerConfig:
    """The switches and sizes that a server sent; empty if it sent none.

    Attributes:
        config: The server's response, with the API's defaults for missing values.
        sent_names: The names of the values that the server sent.
    """

    config: ClientConfigResponse = field(factory=ClientConfigResponse)
    sent_names: frozenset[str] = frozenset()

    @property
    def console_url(self) -> str | None:
        """Return where a browser shows the runs, if the server said a web address."""
        url = self.config.console_url or ""
        is_web = url.startswith(("http://", "https://")) and url.isprintable() and " " not in url
        return safe_text(url) if is_web else None

    def limits(self, config: Config) -> Limits:
        """Return the limits to apply: the user's, else the server's, else the defaults.

        Invalid values of the server (zero, negative) are ignored.
        """
        values: dict[str, int] = {}
        sources: dict[str, str] = {}
        for name, hinted in _HINTED.items():
            mine = getattr(config, name)
            theirs = getattr(self.config, hinted)
            if mine is not None:
                values[name], sources[name] = mine, config.sources.get(name, "argument")
            elif hinted in self.sent_names and theirs > 0:
                values[name], sources[name] = theirs, "server"
            else:
                sources[name] = "default"
        return Limits(**values, sources=sources)


def fetch_server_config(transport: Transport) -> ServerConfig:
    """Fetch the server's configuration; empty after any failure.

    A session must not fail for lack of it: a server without the route responds with 404, 405 or 501.
    """
    request = client_config.build_request(
        body=ClientConfigRequest(sdk_version=transport.config.sdk_version)
    )
    response = transport.run(_ask(transport, request, loads))
    if not isinstance(response, Mapping):
        return ServerConfig()
    try:
        return ServerConfig(ClientConfigResponse.from_dict(response), frozenset(response))
    except ParseError as error:
        log.debug("the server's switches cannot be read: %s", error)
        return ServerConfig()


async def fetch_dynamic_config(transport: Transport) -> ClientDynamicConfigResponse:
    """Fetch the configuration that may change during a session; the defaults after any failure."""
    request = client_dynamic_config.build_request(
        body=ClientConfigRequest(sdk_version=transport.config.sdk_version)
    )
    response = await _ask(transport, request, client_dynamic_config.parse_response)
    return response or ClientDynamicConfigResponse()


async def token(transport: Transport) -> str:
    """Exchange the key for a token; servers that require it say so in their configuration.

    Raises:
        TinkexError: The server returned no token.
    """
    request = auth_token.build_request(body=AuthTokenRequest())
    # All other requests wait for this one, so it is not retried for long.
    response = await transport.request(request, policy=TOKEN_PATIENCE)
    return transport.parsed(response, auth_token.parse_response, request.operation).jwt


async def _ask(transport: Transport, request: Request, parse: Callable[[bytes], T]) -> T | None:
    try:
        response = await transport.attempt(request, timeout=HINTS_TIMEOUT)
    except TransportError as error:
        log.debug("%s: %s; the defaults are used", request.operation, error)
        return None
    if not response.is_success:
        log.debug("%s: HTTP %d; the defaults are used", request.operation, response.status_code)
        return None
    try:
        return parse(response.content)
    except ValueError as error:
        log.debug("%s cannot be read: %s", request.operation, error)
        return None
