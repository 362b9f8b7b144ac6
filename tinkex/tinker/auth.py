"""What is known about the credential before anything is sent."""

from __future__ import annotations

import tinkex
from tinkex.config import Config
from tinkex.credentials import CredentialsFile
from tinkex.errors import ConfigurationError, TinkexError
from tinkex.tinker._exceptions import TinkerError, translating

__all__ = ["get_tinker_token", "raise_if_tinker_not_accessible", "tinker_has_credentials"]


def get_tinker_token() -> str | None:
    """Return the configured key, or None; a command that would give one is not run."""
    try:
        config = Config.resolve()
        key = config.api_key
        if key is None and config.credential_cmd is None:
            key = CredentialsFile(config.credentials_file or "").read()
    except (OSError, TinkexError):
        return None
    return None if key is None else key.reveal()


def tinker_has_credentials() -> bool:
    """Return whether a credential, or a command that gives one, is configured."""
    try:
        return Config.resolve().credential_cmd is not None or get_tinker_token() is not None
    except ConfigurationError:
        return False


def raise_if_tinker_not_accessible() -> None:
    """Raise unless the server takes the configured credential; asks it once, without retries.

    Raises:
        TinkerError: Its subclass says why.
    """

    def ask() -> None:
        with tinkex.ServiceClient(max_retries=0) as service:
            service.get_server_capabilities()

    try:
        translating(ask)()
    except (OSError, ValueError) as error:
        raise TinkerError(str(error)) from error
