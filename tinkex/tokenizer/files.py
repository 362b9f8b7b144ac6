"""The files of a tokenizer: reading within size limits, and loading."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import tokenizers
from attrs import frozen

from tinkex.errors import TokenizerError
from tinkex.tokenizer.chat import ChatTemplate
from tinkex.tokenizer.tokenizer import Tokenizer

TOKENIZER = "tokenizer.json"
CONFIG = "tokenizer_config.json"
SPECIAL_TOKENS = "special_tokens_map.json"
CHAT_TEMPLATE = "chat_template.jinja"
TIKTOKEN = "tiktoken.model"

# Several times the largest in use (Gemma's tokenizer.json has 35 MB). No other file is read, and no
# Python file of a repository.
LARGEST: Mapping[str, int] = {
    TOKENIZER: 128 * 1024 * 1024,
    TIKTOKEN: 32 * 1024 * 1024,
    CONFIG: 16 * 1024 * 1024,
    SPECIAL_TOKENS: 1024 * 1024,
    CHAT_TEMPLATE: 1024 * 1024,
}

_MARKS = (
    "bos_token",
    "eos_token",
    "pad_token",
    "unk_token",
    "cls_token",
    "sep_token",
    "mask_token",
)


@frozen
class TokenizerFiles:
    """The contents of a tokenizer's files.

    Attributes:
        name: The tokenizer's name, also in errors.
        tokenizer: The content of tokenizer.json.
        config: The content of tokenizer_config.json, with the special tokens of
            special_tokens_map.json where it has none.
        chat_template: The content of chat_template.jinja, if there is one.
    """

    name: str
    tokenizer: bytes
    config: Mapping[str, Any]
    chat_template: str | None = None

    def load(self) -> Tokenizer:
        """Return the tokenizer.

        Raises:
            TokenizerError: A file is malformed, or names special tokens that the vocabulary lacks.
        """
        check_size(TOKENIZER, len(self.tokenizer), self.name)
        backend = _backend(self.tokenizer, self.name)
        # A file may enable truncation or padding. Neither is wanted here, where each
        # id counts.
        backend.no_truncation()
        backend.no_padding()
        _check_special_tokens(backend, self.tokenizer, self.name)
        marks = _marks(self.config, backend, self.name)
        return Tokenizer(backend, self.name, marks=marks, chat_template=self._template())

    def _template(self) -> ChatTemplate | None:
        given = self.chat_template or self.config.get("chat_template")
        if isinstance(given, str):
            return ChatTemplate(self.name, {"default": given})
        if isinstance(given, list):
            pairs = [(x.get("name"), x.get("template")) for x in given if isinstance(x, dict)]
            named = {n: t for n, t in pairs if isinstance(n, str) and isinstance(t, str)}
            return ChatTemplate(self.name, named) if named else None
        return None


def read_folder(folder: Path, name: str, tokenizer: bytes | None = None) -> TokenizerFiles:
    """Read the files of a folder, which needs a tokenizer.json unless one is passed.

    Raises:
        TokenizerError: A file is too large or malformed.
    """
    if tokenizer is None:
        tokenizer = read(folder / TOKENIZER, TOKENIZER)
    config = dict(read_json(folder / SPECIAL_TOKENS, SPECIAL_TOKENS))
    given = read_json(folder / CONFIG, CONFIG)
    config |= {key: value for key, value in given.items() if value is not None}
    template = folder / CHAT_TEMPLATE
    text = read(template, CHAT_TEMPLATE) if template.is_file() else b""
    return TokenizerFiles(name, tokenizer, config, text.decode("utf-8", "replace") or None)


def check_size(kind: str, size: int, where: object) -> None:
    """Refuse a file that is larger than any tokenizer's.

    Raises:
        TokenizerError: The file is too large.
    """
    if size > LARGEST[kind]:
        raise TokenizerError(
            f"{where}: {kind} has {size:,} bytes, and the limit is {LARGEST[kind]:,}. Is it a "
            "tokenizer? If it is, load it with the tokenizers package and pass the object"
        )


def read(file: Path, kind: str) -> bytes:
    """Return the content of a file, within the size limit of its kind.

    Raises:
        TokenizerError: The file is too large or cannot be read.
    """
    bound = LARGEST[kind]
    try:
        with file.open("rb") as stream:
            content = stream.read(bound + 1)
            size = file.stat().st_size if len(content) > bound else len(content)
    except OSError as error:
        raise TokenizerError(f"{file} cannot be read: {error.strerror or error}") from error
    check_size(kind, size, file)
    return content


def read_json(file: Path, kind: str) -> Mapping[str, Any]:
    """Return the object in a JSON file; empty if the file is missing.

    Raises:
        TokenizerError: The file is too large, or not a JSON object.
    """
    if not file.is_file():
        return {}
    return parse_object(read(file, kind), file)


def parse_object(content: bytes, where: object) -> Mapping[str, Any]:
    """Return the JSON object in a file's content.

    Raises:
        TokenizerError: The content is not a JSON object.
    """
    try:
        # Not orjson: these files are written by Python, and may have integers beyond 64 bits.
        parsed = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise TokenizerError(f"{where} is malformed: {error}") from None
    if not isinstance(parsed, dict):
        raise TokenizerError(f"{where} is malformed: it is not a JSON object")
    return parsed


def _backend(content: bytes, name: str) -> tokenizers.Tokenizer:
    try:
        return tokenizers.Tokenizer.from_buffer(content)
    except BaseException as error:
        # A panic of the package's Rust code is not an Exception.
        if not isinstance(error, Exception) and type(error).__name__ != "PanicException":
            raise
        why = f"{error}".partition("\n")[0][:200]
    raise TokenizerError(f"the {TOKENIZER} of {name!r} cannot be read: {why}{_hint(content)}")


def _hint(content: bytes) -> str:
    if content.startswith(b"version https://git-lfs"):
        return ". It is a Git LFS pointer: fetch the file itself with `git lfs pull`"
    try:
        orjson.loads(content)
    except ValueError:
        return ". It is not JSON: was it cut off, or is it a page of HTML?"
    return ". Was it written by a newer version of the tokenizers package?"


def _check_special_tokens(backend: tokenizers.Tokenizer, content: bytes, name: str) -> None:
    """Check that each special token exists, and is encoded as its own id.

    The package silently assigns another id than the file's if that id is not the next one. The model
    would then read other tokens than it was trained on.
    """
    declared = orjson.loads(content).get("added_tokens") or []
    ids = {token["content"]: token["id"] for token in declared}
    alone = [
        token["content"] for token in declared if token["special"] and not token["single_word"]
    ]
    encoded = backend.encode_batch_fast(alone, add_special_tokens=False)
    found = {token: backend.token_to_id(token) for token in ids}
    found |= {
        token: encoding.ids[0]
        for token, encoding in zip(alone, encoded, strict=True)
        if len(encoding.ids) == 1
    }
    split = [
        token for token, encoding in zip(alone, encoded, strict=True) if len(encoding.ids) != 1
    ]
    for token, id_ in ids.items():
        if token in split:
            raise TokenizerError(
                f"the {TOKENIZER} of {name!r} is inconsistent: its special token {token!r} is "
                "split when it occurs in a text"
            )
        if found[token] != id_:
            raise TokenizerError(
                f"the {TOKENIZER} of {name!r} is inconsistent: it gives the added token "
                f"{token!r} the id {id_}, and its vocabulary {found[token]}"
            )
    for id_ in backend.encode("", add_special_tokens=True).ids:
        if backend.id_to_token(id_) is None:
            raise TokenizerError(
                f"the {TOKENIZER} of {name!r} adds the token id {id_}, which its "
                f"vocabulary of {backend.get_vocab_size()} tokens does not have"
            )
    unknown = getattr(backend.model, "unk_token", None)
    if unknown is not None and backend.token_to_id(unknown) is None:
        raise TokenizerError(
            f"the {TOKENIZER} of {name!r} uses {unknown!r} for unknown text, which its vocabulary "
            f"of {backend.get_vocab_size()} tokens does not have"
        )


def _marks(config: Mapping[str, Any], backend: tokenizers.Tokenizer, name: str) -> dict[str, str]:
    """Return the special tokens with a role in the configuration, checked."""
    marks: dict[str, str] = {}
    for role in _MARKS:
        token = config.get(role)
        if isinstance(token, Mapping):
            token = token.get("content")
        if not isinstance(token, str) or not token:
            continue
        if backend.token_to_id(token) is None:
            raise TokenizerError(
                f"the {CONFIG} of {name!r} names the {role} {token!r}, which the vocabulary of "
                f"{backend.get_vocab_size()} tokens does not have; do both files belong together?"
            )
        marks[role] = token
    return marks
