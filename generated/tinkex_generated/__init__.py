# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""The models, request builders and response parsers of Tinker API 1.0.0.

    with Client(base_url="https://api.example.com", token="...") as client:
        operation.sync(client=client, ...)

Names follow the description, so they change with it.

    models      one class per schema: Model(...), model.to_dict(), Model.from_dict(mapping)
    api         one module per operation, in one package per tag: build_request, parse_response, sync
    client      a plain synchronous client on httpx
    types       Request, dumps, loads
    errors      ParseError, UnexpectedStatus
    openapi.json    the description itself
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .client import Client

__all__ = ("Client",)


def __getattr__(name: str) -> Any:
    if name == "Client":  # httpx takes long to import, and most users bring their own transport.
        from .client import Client

        return Client
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
