"""The context length of a model, as reported by its server."""

from tinkex.cli.invocation import Invocation
from tinkex.errors import TinkexError

# Seconds; a command that only looks does not wait for a server that is not there.
_PATIENCE = 5.0


def known_context_length(invocation: Invocation, model: str) -> int | None:
    """Return the maximum number of tokens of a model if the server can be asked; no data is sent."""
    try:
        if invocation.config().base_url == "local":
            return _embedded(model)
        invocation.settings.setdefault("timeout", _PATIENCE)
        invocation.settings["max_retries"] = 0
        from tinkex.recipes.methods import context_length

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
