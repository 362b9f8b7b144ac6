"""The base models this server can train and sample, loaded when they are first used."""

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import orjson
from attrs import define, field
from tokenizers import Tokenizer

from tinkex.local.engine import Base, EngineError, Sampler, load_seeing, nano_config
from tinkex.local.problem import Problem

logger = logging.getLogger("tinkex.local.bases")

TINY_CHAT = "tinkex/tiny-chat"
NANO = "tinkex/nano"
TINY_VISION = "tinkex/tiny-vision"
_SHIPPED = Path(__file__).with_name("models") / "tiny-chat"
# An adapter to the shipped model and a projection of image patches.
_VISION = Path(__file__).with_name("models") / "tiny-vision"


@define(eq=False)
class LoadedBase:
    """A base model in memory, with what sampling needs."""

    name: str
    base: Base
    sampler: Sampler
    decode: Callable[[Sequence[int]], str] | None


@define(eq=False)
class BaseShelf:
    """Base models by name: the shipped ones and the folders the user named.

    Every folder has the Hugging Face layout (config.json, safetensors, tokenizer.json).
    """

    folders: Mapping[str, Path]
    _loaded: dict[str, LoadedBase] = field(init=False, factory=dict)
    _lock: threading.Lock = field(init=False, factory=threading.Lock)

    @classmethod
    def with_shipped(cls, folders: Mapping[str, str | Path] | None = None) -> "BaseShelf":
        """Return a shelf of the shipped models and the user's folders."""
        named = {name: Path(folder).expanduser() for name, folder in (folders or {}).items()}
        for name, folder in named.items():
            if not (folder / "config.json").is_file():
                raise ValueError(f"model {name!r}: {folder} has no config.json")
        return cls({TINY_CHAT: _SHIPPED, NANO: _SHIPPED, TINY_VISION: _SHIPPED, **named})

    @property
    def names(self) -> list[str]:
        """The names of the models, the shipped ones first."""
        return list(self.folders)

    def check(self, name: str) -> str:
        """Return the name if there is such a model, or raise a 404 problem that lists them."""
        if name not in self.folders:
            raise Problem(404, self.unknown(name), code="unknown_model")
        return name

    def unknown(self, name: str) -> str:
        """Return the error message for an unknown model, with the closest names."""
        from difflib import get_close_matches

        near = get_close_matches(name, self.names, 1, 0.8)
        hint = f"did you mean {near[0]!r}?" if near else f"available: {', '.join(self.names)}"
        return f"unknown model {name!r}; {hint}"

    def get(self, name: str) -> LoadedBase:
        """Return a model, loading it if this is its first use."""
        self.check(name)
        with self._lock:
            if name not in self._loaded:
                self._loaded[name] = self._load(name)
                logger.info("loaded base model %s", name)
            return self._loaded[name]

    def max_context(self, name: str) -> int:
        """Return the longest sequence a model takes, without loading it if it is not yet."""
        with self._lock:
            loaded = self._loaded.get(name)
        if loaded is not None:
            return loaded.base.config.max_context
        if self._is_ours(name, NANO):
            return nano_config().max_context
        raw = orjson.loads((self.folders[name] / "config.json").read_bytes())
        return int(raw.get("max_position_embeddings", 2048))

    def tokenizer_file(self, name: str) -> Path:
        """Return the tokenizer.json of a model, or raise a 404 problem."""
        self.check(name)
        file = self.folders[name] / "tokenizer.json"
        if not file.is_file():
            raise Problem(404, f"base model {name!r} has no tokenizer.json")
        return file

    def tokenizer_config(self, name: str) -> dict[str, Any]:
        """Return the tokenizer_config.json of a model with its chat template, or raise a 404."""
        self.check(name)
        file = self.folders[name] / "tokenizer_config.json"
        template = self.folders[name] / "chat_template.jinja"
        if not file.is_file() and not template.is_file():
            raise Problem(404, f"base model {name!r} has no tokenizer_config.json")
        config: dict[str, Any] = orjson.loads(file.read_bytes()) if file.is_file() else {}
        if template.is_file():
            config["chat_template"] = template.read_text(encoding="utf-8")
        return config

    def _is_ours(self, name: str, ours: str) -> bool:
        # The user may give this name to a folder of his own.
        return name == ours and self.folders[name] == _SHIPPED

    def _load(self, name: str) -> LoadedBase:
        folder = self.folders[name]
        try:
            if self._is_ours(name, NANO):
                base = Base.random(nano_config(eos_token_ids=_eos_ids(folder)), name=NANO)
            elif self._is_ours(name, TINY_VISION):
                base = load_seeing(folder, _VISION, name)
            else:
                base = Base.load(folder, name)
        except (EngineError, OSError) as error:
            raise Problem(400, f"base model {name!r} cannot be loaded: {error}") from error
        file = folder / "tokenizer.json"
        decode = None
        if file.is_file():
            tokenizer = Tokenizer.from_file(str(file))
            decode = partial(_decode, tokenizer)
        return LoadedBase(name, base, Sampler(base, decode), decode)


def _decode(tokenizer: Tokenizer, ids: Sequence[int]) -> str:
    text: str = tokenizer.decode(list(ids), skip_special_tokens=False)
    return text


def _eos_ids(folder: Path) -> tuple[int, ...]:
    """Return the end-of-sequence ids of a model folder."""
    for name in ("generation_config.json", "config.json"):
        if (folder / name).is_file():
            ids = orjson.loads((folder / name).read_bytes()).get("eos_token_id")
            if ids is not None:
                return tuple(ids) if isinstance(ids, list) else (ids,)
    return ()
