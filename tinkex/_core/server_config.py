"""What the server would like its clients to keep to, if it says so."""

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

from tinkex._core.config import Config
from tinkex._core.limits import Limits
from tinkex._core.retry import RetryPolicy
from tinkex._core.transport import Transport
from tinkex.errors import TransportError

T = TypeVar("T")

log = logging.getLogger("tinkex.session")

# Nobody waits long for advice.
HINTS_TIMEOUT = 5.0
TOKEN_PATIENCE = RetryPolicy(max_attempts=4, deadline=30.0)

# The server's word for each of our limits.
_HINTED = {
    "chunk_len": "fwdbwd_max_chunk_len",
    "chunk_bytes": "fwdbwd_max_chunk_bytes_count",
    "samples_in_flight": "sample_max_concurrent_requests",
    "prompt_bytes": "sample_dispatch_bytes_semaphore_size",
    "response_bytes": "inflight_response_bytes_semaphore_size",
}


@frozen
class ServerConfig:
    """Hold the switches and sizes that a server sent, or nothing.

    Attributes:
        config: The server's answer, with the API's defaults for what it left out.
        said: The names that the server did send.
    """

    config: ClientConfigResponse = field(factory=ClientConfigResponse)
    said: frozenset[str] = frozenset()

    def limits(self, config: Config) -> Limits:
        """Return the limits to keep to: the user's, else the server's, else the defaults.

        A hint that cannot be right (zero, negative) is not followed.
        """
        values: dict[str, int] = {}
        sources: dict[str, str] = {}
        for name, hinted in _HINTED.items():
            mine = getattr(config, name)
            theirs = getattr(self.config, hinted)
            if mine is not None:
                values[name], sources[name] = mine, config.sources.get(name, "argument")
            elif hinted in self.said and theirs > 0:
                values[name], sources[name] = theirs, "server"
            else:
                sources[name] = "default"
        return Limits(**values, sources=sources)


def fetch_server_config(transport: Transport) -> ServerConfig:
    """Ask the server for its switches; whatever goes wrong means that it has none.

    No session may fail for want of advice: a server without the route answers 404, 405 or 501.
    """
    request = client_config.build_request(
        body=ClientConfigRequest(sdk_version=transport.config.sdk_version)
    )
    answer = transport.run(_ask(transport, request, loads))
    if not isinstance(answer, Mapping):
        return ServerConfig()
    try:
        return ServerConfig(ClientConfigResponse.from_dict(answer), frozenset(answer))
    except ParseError as error:
        log.debug("the server's switches cannot be read: %s", error)
        return ServerConfig()


async def fetch_dynamic_config(transport: Transport) -> ClientDynamicConfigResponse:
    """Ask for the switches that may change while a session lasts; the defaults if there are none."""
    request = client_dynamic_config.build_request(
        body=ClientConfigRequest(sdk_version=transport.config.sdk_version)
    )
    answer = await _ask(transport, request, client_dynamic_config.parse_response)
    return answer or ClientDynamicConfigResponse()


async def token(transport: Transport) -> str:
    """Exchange the key for a token that takes its place; servers that want it say so in their hints.

    Raises:
        TinkexError: The server gives none.
    """
    request = auth_token.build_request(body=AuthTokenRequest())
    # All other requests wait for it, so it is no place for much patience.
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
