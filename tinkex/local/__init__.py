"""The embedded local server: the Tinker API on this machine, with a small model that really trains.

    >>> from tinkex.local import LocalServer
    >>> with LocalServer() as server:
    ...     server.model_names  # point a client at server.base_url
    ['tinkex/tiny-chat', 'tinkex/nano', 'tinkex/tiny-vision']

It needs the packages of the extra `local`; importing this module alone needs none of them.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tinkex.local.app_state import Options
    from tinkex.local.server import LocalServer, shared_server

__all__ = ["LocalServer", "Options", "shared_server"]

INSTALL_HINT = "the local server needs more packages: pip install 'tinkex[local]'"

_EXTRA = frozenset(
    {"jinja2", "jsonschema_rs", "safetensors", "starlette", "threadpoolctl", "uvicorn"}
)


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from tinkex.local import server
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] in _EXTRA:
            raise ModuleNotFoundError(INSTALL_HINT, name=error.name) from error
        raise
    return getattr(server, name)
