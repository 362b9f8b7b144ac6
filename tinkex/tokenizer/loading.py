"""Loading of a model's tokenizer."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import tokenizers

from tinkex.config.settings import SETTINGS
from tinkex.errors import TokenizerError, ValidationError
from tinkex.tokenizer import hub
from tinkex.tokenizer.files import LARGEST, TIKTOKEN, TOKENIZER, TokenizerFiles, read, read_folder
from tinkex.tokenizer.once import once
from tinkex.tokenizer.ranks import read_tiktoken_folder
from tinkex.tokenizer.search import Search, TokenizerServer
from tinkex.tokenizer.tokenizer import Tokenizer


class HasTokenizer(Protocol):
    """A client that knows its model's tokenizer."""

    def get_tokenizer(self) -> Tokenizer:
        """Return the tokenizer of the model."""


class HasBackend(Protocol):
    """A fast tokenizer of transformers, which wraps one of the tokenizers package."""

    @property
    def backend_tokenizer(self) -> tokenizers.Tokenizer:
        """Return the wrapped tokenizer."""


TokenizerSource: TypeAlias = (
    str | os.PathLike[str] | Tokenizer | tokenizers.Tokenizer | HasTokenizer | HasBackend
)


def get_tokenizer(
    model: TokenizerSource,
    revision: str | None = None,
    *,
    transport: TokenizerServer | None = None,
    tokenizer_id: str | None = None,
    offline: bool | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Tokenizer:
    """Return the tokenizer of a model.

    >>> tokenizer = get_tokenizer("Qwen/Qwen3-8B")
    >>> tokenizer = get_tokenizer("./my-model")

    The search order is: a folder or ``tokenizer.json`` with that path, the server (the local one has the
    tokenizers of its models), the models that come with tinkex, the Hugging Face cache, the Hugging Face
    hub. A tokenizer is loaded once per process. Code in a repository is never executed.

    Args:
        model: A model's name, a tokenizer's id, a path, a client, or an object of the
            ``tokenizers`` package (or of transformers, with such an object in it), which is used
            directly.
        revision: A branch, tag or commit on the hub, which is then the only source. None uses the
            commit that the service is known to use, else "main".
        transport: The connection to the server to ask first.
        tokenizer_id: The tokenizer's id from the server, which is used unchanged.
        offline: Whether to search only this machine; None uses TINKEX_OFFLINE (or
            HF_HUB_OFFLINE).
        cache_dir: Folder of converted tokenizers; None uses TINKEX_CACHE_DIR or the user's cache
            folder.

    Raises:
        TokenizerError: The tokenizer was not found, or its files are malformed; the message lists the
            search and what to do.
        ValidationError: The name is invalid.
        MissingDependencyError: It is only on the hub, and the extra ``hub`` is not installed.
    """
    if not isinstance(model, str | os.PathLike):
        return _from_object(model)
    config = transport.config if transport else None
    offline = _setting("offline", offline, config) or hub.is_off()
    cache_dir = _setting("cache_dir", cache_dir, config)
    folder = _local_folder(model)
    if folder is not None:
        key = ("path", str(folder), _stamp(folder))
        return once(key, lambda: _read(folder, os.fspath(model), cache_dir).load())
    search = Search(str(model), revision, transport, tokenizer_id, bool(offline), cache_dir)
    where = transport.where if transport else ""
    return once(("model", where, search.model, revision, tokenizer_id), search.run)


def _setting(name: str, argument: Any, config: Any) -> Any:
    if argument is None and config is not None:
        return getattr(config, name)
    found, value, _ = SETTINGS[name].look_up(name, argument, os.environ)
    return value if found else None


def _from_object(model: Any) -> Tokenizer:
    if isinstance(model, Tokenizer):
        return model
    # transformers' fast tokenizers wrap one of these.
    backend = getattr(model, "backend_tokenizer", model)
    if isinstance(backend, tokenizers.Tokenizer):
        return Tokenizer(backend, str(getattr(model, "name_or_path", "") or "an object"))
    if hasattr(model, "get_tokenizer"):
        return _from_object(model.get_tokenizer())
    raise ValidationError(
        f"must be a name, a path, a client or a tokenizer of the tokenizers package, not "
        f"{type(model).__name__}",
        path="model",
    )


def _local_folder(model: str | os.PathLike[str]) -> Path | None:
    """Return the folder or file that a text names, or None if it is the name of a model.

    Raises:
        TokenizerError: It is a path with nothing to load.
    """
    path = Path(model).expanduser()
    if path.is_file() or any((path / name).is_file() for name in (TOKENIZER, TIKTOKEN)):
        return path.absolute()
    text = os.fspath(model)
    looks_like_a_path = (
        isinstance(model, os.PathLike)
        or path.is_absolute()
        or text.startswith((".", "~"))
        or text.endswith((".json", ".model", os.sep))
        or "\\" in text
    )
    if not looks_like_a_path:
        return None
    if path.is_dir():
        raise TokenizerError(f"the folder {path} has neither {TOKENIZER} nor {TIKTOKEN}")
    raise TokenizerError(f"there is no file or folder {path}")


def _stamp(path: Path) -> tuple[int, ...]:
    """Return a value that changes when a tokenizer's files are rewritten."""
    folder = path if path.is_dir() else path.parent
    names = {path.name, *LARGEST} if path.is_file() else LARGEST
    found = [(folder / name).stat() for name in sorted(names) if (folder / name).is_file()]
    return tuple(value for stat in found for value in (stat.st_mtime_ns, stat.st_size))


def _read(path: Path, name: str, cache_dir: Any) -> TokenizerFiles:
    if path.name == TIKTOKEN:
        path = path.parent
    if path.is_file():
        return read_folder(path.parent, name, read(path, TOKENIZER))
    if (path / TOKENIZER).is_file():
        return read_folder(path, name)
    return read_tiktoken_folder(path, name, cache_dir)
