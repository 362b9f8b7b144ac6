"""Search for the tokenizer of a named model: server, this package, cache, hub."""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import Literal, Protocol

from attrs import define, field
from tinkex_generated.api.tokenizers import get_tokenizer as tokenizer_route
from tinkex_generated.types import Request

from tinkex.config import Config
from tinkex.errors import MissingDependencyError, NotFoundError, TokenizerError, UnprocessableError
from tinkex.tokenizer import hub
from tinkex.tokenizer.files import (
    CONFIG,
    TOKENIZER,
    TokenizerFiles,
    check_size,
    parse_object,
    read_folder,
)
from tinkex.tokenizer.names import TokenizerId, resolve
from tinkex.tokenizer.once import once
from tinkex.tokenizer.ranks import read_tiktoken_folder
from tinkex.tokenizer.tokenizer import Tokenizer

log = logging.getLogger("tinkex.tokenizer")

# The models in the package, which have their tokenizer with them.
_SHIPPED = Path(__file__).parents[1] / "local" / "models" / "tiny-chat"
_SHIPPED_NAMES = ("tinkex/tiny-chat", "tinkex/nano")


class Content(Protocol):
    """A response, of which the body is read."""

    @property
    def content(self) -> bytes:
        """Return the body."""
        ...


class TokenizerServer(Protocol):
    """A connection to a server that may offer tokenizers."""

    config: Config

    @property
    def where(self) -> str:
        """Return the server's address."""
        ...

    def send(self, request: Request) -> Content:
        """Send a request and return its response."""
        ...


@define
class Search:
    """One search, with a record of the places searched.

    Attributes:
        model: The model's name.
        revision: The requested revision, or None.
        transport: The connection to the server, or None.
        tokenizer_id: The tokenizer's id from the server, or None.
        offline: Whether to search only this machine.
        cache_dir: Cache folder of conversions, or None for the user's cache folder.
    """

    model: str
    revision: str | None
    transport: TokenizerServer | None
    tokenizer_id: str | None
    offline: bool
    cache_dir: str | os.PathLike[str] | None
    _tried: list[str] = field(init=False, factory=lambda: ["it is not an existing path"])

    def run(self) -> Tokenizer:
        """Return the tokenizer.

        Raises:
            TokenizerError: The tokenizer was not found, or its files are malformed.
        """
        found = self._from_server() if self.revision is None else None
        if found is not None:
            return found.load()
        if self.model in _SHIPPED_NAMES and self.revision is None:
            return once(("shipped",), read_folder(_SHIPPED, _SHIPPED_NAMES[0]).load)
        wanted = self._resolved()
        return once(("hub", wanted), lambda: self._from_cache_or_hub(wanted).load())

    def _resolved(self) -> TokenizerId:
        return resolve(self.model, self.revision, tokenizer_id=self.tokenizer_id)

    def _from_server(self) -> TokenizerFiles | None:
        if self.transport is None:
            return None
        where = self.transport.where
        if self.offline and not self.transport.config.is_loopback:
            self._tried.append(f"the server {where} was not asked (offline)")
            return None
        names = dict.fromkeys(name for name in (self.tokenizer_id, self.model) if name)
        for name in names:
            content = self._served(name, "tokenizer.json")
            if content is not None:
                check_size(TOKENIZER, len(content), f"the server {where}")
                config = self._served(name, "tokenizer_config.json") or b"{}"
                return TokenizerFiles(name, content, parse_object(config, f"{CONFIG} of {name!r}"))
        self._tried.append(f"the server {where} does not offer it")
        return None

    def _served(
        self, name: str, file: Literal["tokenizer.json", "tokenizer_config.json"]
    ) -> bytes | None:
        if self.transport is None:
            return None
        request = tokenizer_route.build_request(model=name, file=file)
        try:
            return self.transport.send(request).content
        except (NotFoundError, UnprocessableError):
            return None

    def _from_cache_or_hub(self, wanted: TokenizerId) -> TokenizerFiles:
        folder = hub.cached(wanted, whole=not self.offline)
        if folder is None:
            folder = self._fetched(wanted)
        log.info("the tokenizer of %s is read from %s", self.model, folder)
        if (folder / TOKENIZER).is_file():
            return read_folder(folder, wanted.name)
        return read_tiktoken_folder(folder, wanted.name, self.cache_dir)

    def _fetched(self, wanted: TokenizerId) -> Path:
        if self.offline:
            raise TokenizerError(
                f"{self._nowhere(wanted)}; the Hugging Face hub was not asked (offline). Fetch it once "
                "without TINKEX_OFFLINE and HF_HUB_OFFLINE, or pass a path to a folder with "
                f"{TOKENIZER}"
            )
        try:
            return hub.fetch(wanted)
        except (TokenizerError, MissingDependencyError) as error:
            # An incomplete cache entry is better than nothing: another program may have fetched these files.
            folder = hub.cached(wanted)
            if folder is not None:
                return folder
            error.message = f"{self._nowhere(wanted)}; {error.message}. Or pass a path to a folder with {TOKENIZER}"
            raise

    def _nowhere(self, wanted: TokenizerId) -> str:
        tried = [*self._tried, f"the cache {hub.cache_dir()} does not have it"]
        return (
            f"no tokenizer for {self.model!r} ({wanted.name} at {wanted.revision}): "
            + "; ".join(tried)
        )
