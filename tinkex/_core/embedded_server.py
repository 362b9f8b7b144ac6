"""The one door to the embedded server, opened when ``base_url="local"`` asks for it."""

from __future__ import annotations

from typing import Any

from tinkex.config import Config
from tinkex.errors import ConfigurationError, MissingDependencyError


def with_embedded_server(config: Config) -> Config:
    """Start the embedded server if the settings ask for it, and return the settings to reach it.

    Raises:
        MissingDependencyError: The extra ``local`` is not installed.
        ConfigurationError: The server cannot start.
    """
    if not config.is_local:
        return config
    server = embedded_server()
    # A real key must not be sent to the embedded server, which accepts only its own.
    return config.without_key().with_base_url(server.base_url, server.api_key)


def embedded_server() -> Any:
    """Return the embedded server, started if it was not; the only use of `tinkex.local`.

    Raises:
        MissingDependencyError: The extra ``local`` is not installed.
        ConfigurationError: The server cannot start.
    """
    try:
        from tinkex.local import shared_server
    except ModuleNotFoundError as error:
        raise MissingDependencyError("the embedded local server", "local") from error

    try:
        return shared_server()
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigurationError(f"the embedded local server cannot start: {error}") from error
