"""The context length of a model, as reported by its server."""

from typing import TYPE_CHECKING

from tinkex.cli.invocation import Invocation
from tinkex.errors import TinkexError

if TYPE_CHECKING:
    from tinkex.service import ServiceClient

# Seconds; a command that only looks does not wait for a server that is not there.
_PATIENCE = 5.0


def context_length(service: "ServiceClient", model: str) -> int | None:
    """Return the most tokens that a model can read, or None if its server does not say."""
    for one in service.get_server_capabilities().supported_models:
        if one.model_name == model:
            return one.max_context_length or None
    return None


def known_context_length(invocation: Invocation, model: str) -> int | None:
    """Return the same if the server can be asked at once; nothing but the question is sent."""
    try:
        if invocation.config().base_url == "local":
            return _embedded(model)
        invocation.settings.setdefault("timeout", _PATIENCE)
        invocation.settings["max_retries"] = 0
        with invocation.service() as service:
            return context_length(service, model)
    except TinkexError:
        return None


def _embedded(model: str) -> int | None:
    """Return the context length of a model that ships, without a server."""
    try:
        from tinkex.local.bases import BaseShelf
    except ImportError:
        return None
    shelf = BaseShelf.with_shipped()
    return shelf.max_context(model) if model in shelf.names else None
