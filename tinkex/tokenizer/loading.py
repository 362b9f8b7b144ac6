"""Find the tokenizer of a model."""

from __future__ import annotations

import threading
from pathlib import Path

import orjson
import tokenizers
from tinkex_generated.api.tokenizers import get_tokenizer as tokenizer_route

from tinkex.errors import NotFoundError, TinkexError, UnprocessableError
from tinkex.tokenizer.tokenizer import Tokenizer
from tinkex.transport import Transport

LLAMA_3_PREFIX = "meta-llama/Llama-3"
LLAMA_3_TOKENIZER = "thinkingmachineslabinc/meta-llama-3-instruct-tokenizer"

_cache: dict[tuple[str, str], Tokenizer] = {}
_lock = threading.Lock()


def get_tokenizer(
    model: str, revision: str | None = None, *, transport: Transport | None = None
) -> Tokenizer:
    """Return the tokenizer of a model.

    Looked for in this order: a folder or ``tokenizer.json`` of that path, the server (the local
    one offers the tokenizers of its models), the Hugging Face hub and its cache. A tokenizer is
    loaded once per process.

    Args:
        model: A model's name, a tokenizer's id, or a path.
        revision: A revision on the hub; ``name:revision`` means the same.
        transport: The way to the server to ask first.

    Raises:
        TinkexError: It is nowhere to be found; the message says where tinkex looked.
    """
    where = transport.where if transport else ""
    key = (f"{model}@{revision or ''}", where)
    with _lock:
        if key not in _cache:
            _cache[key] = _load(model, revision, transport)
        return _cache[key]


def tokenizer_id(model: str) -> tuple[str, str | None]:
    """Return the hub's id of a model's tokenizer, and the revision if the name holds one.

    >>> tokenizer_id("meta-llama/Llama-3.1-8B")[0]
    'thinkingmachineslabinc/meta-llama-3-instruct-tokenizer'
    >>> tokenizer_id("Qwen/Qwen3-8B/fast"), tokenizer_id("Qwen/Qwen3-8B:main")
    (('Qwen/Qwen3-8B', None), ('Qwen/Qwen3-8B', 'main'))
    """
    name, _, revision = model.partition(":")
    if name.startswith(LLAMA_3_PREFIX):
        return LLAMA_3_TOKENIZER, None
    parts = name.split("/")
    if len(parts) == 3:
        name = "/".join(parts[:2])
    return name, revision or None


def _load(model: str, revision: str | None, transport: Transport | None) -> Tokenizer:
    path = Path(model)
    file = path / "tokenizer.json" if path.is_dir() else path
    if file.is_file():
        return _from_text(file.read_text(encoding="utf-8"), model)
    if transport is not None:
        served = _from_server(model, transport)
        if served is not None:
            return served
    return _from_hub(model, revision)


def _from_server(model: str, transport: Transport) -> Tokenizer | None:
    request = tokenizer_route.build_request(model=model)
    try:
        answer = transport.send(request)
    except (NotFoundError, UnprocessableError):
        return None
    files = transport.parsed(answer, tokenizer_route.parse_response, request.operation)
    return _from_text(orjson.dumps(files).decode(), model)


def _from_hub(model: str, revision: str | None) -> Tokenizer:
    name, named_revision = tokenizer_id(model)
    try:
        backend = tokenizers.Tokenizer.from_pretrained(
            name, revision=revision or named_revision or "main"
        )
    except Exception as error:
        raise TinkexError(
            f"no tokenizer for {model!r}: it is no path, the server does not offer it, and the "
            f"Hugging Face hub gave none for {name!r} ({_first_line(error)}). Pass a path to a "
            "folder with tokenizer.json, or set HF_TOKEN if the model is gated"
        ) from error
    return Tokenizer(backend, name)


def _from_text(text: str, name: str) -> Tokenizer:
    try:
        return Tokenizer(tokenizers.Tokenizer.from_str(text), name)
    except Exception as error:
        raise TinkexError(
            f"the tokenizer of {name!r} cannot be read: {_first_line(error)}"
        ) from error


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0][:200]
