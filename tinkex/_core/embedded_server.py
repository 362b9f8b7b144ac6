"""The one door to the embedded server, opened when ``base_url="local"`` asks for it."""

from __future__ import annotations

from tinkex._core.config import Config
from tinkex.errors import ConfigurationError, MissingDependencyError


def with_embedded_server(config: Config) -> Config:
    """Start the embedded server if the settings ask for it, and return the settings to reach it.

    Raises:
        MissingDependencyError: The extra ``local`` is not installed.
        ConfigurationError: The server cannot start.
    """
    if not config.is_local:
        return config
    try:
        from tinkex.local import shared_server
    except ModuleNotFoundError as error:
        raise MissingDependencyError("the embedded local server", "local") from error

    try:
        server = shared_server()
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigurationError(f"the embedded local server cannot start: {error}") from error
    # A real key has no business with the embedded server, which takes its own and no other.
    return config.without_key().with_base_url(server.base_url, server.api_key)
