# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""Fetch the tokenizer of a base model.

A file of a model's tokenizer that the server offers, so that clients need no other source. A
route of the local server; others answer 404.

GET /api/v1/tokenizers
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ...decode import mapping, parse_json
from ...models.get_tokenizer_file import GetTokenizerFile
from ...types import Request

if TYPE_CHECKING:
    from ...client import Client

__all__ = ("build_request", "parse_response", "sync")


def build_request(*, model: str, file: GetTokenizerFile | None = "tokenizer.json") -> Request:
    """Describe the request; nothing is sent.

    Args:
        model: Name of a base model.
        file: Which file.
    """
    params: dict[str, str | int | float | bool] = {}
    params["model"] = model
    if file is not None:
        params["file"] = file
    headers: dict[str, str] = {"accept": "application/json"}
    return Request(
        operation="get_tokenizer",
        method="GET",
        path="/api/v1/tokenizers",
        params=params,
        headers=headers,
        secured=True,
    )


def parse_response(content: bytes) -> dict[str, Any]:
    """Read the body of a success; raises ParseError for anything else."""
    return parse_json(content, mapping)


def sync(
    *, client: Client, model: str, file: GetTokenizerFile | None = "tokenizer.json"
) -> dict[str, Any]:
    """Send the request once; raises UnexpectedStatus, ParseError or an httpx.HTTPError."""
    return client.exchange(build_request(model=model, file=file), parse_response, (200,))
