"""Conversion of tiktoken files, as used by the Kimi models, without their code.

Such a file lists the tokens with their ranks: the lower the rank of two joined neighbours, the earlier
they are merged. The tokenizers package needs the list of merged pairs instead, in order. A token has one
pair for each way to split it into two tokens, and the pairs are ordered by the rank of the merged
token.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import tokenizers
from tokenizers import AddedToken, Regex, decoders, models, pre_tokenizers

from tinkex.errors import TokenizerError
from tinkex.tokenizer.disk import kept
from tinkex.tokenizer.files import CONFIG, TIKTOKEN, TokenizerFiles, read, read_folder, read_json
from tinkex.tokenizer.tokenizer import Tokenizer

SPECIAL_TOKENS = 256

# Letters that can begin a word, and letters that can continue it, both without Chinese.
_UPPER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
_LOWER = r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]"
# Written out, because engines differ in case folding; the odd letter is a long s.
_CONTRACTION = r"(?:'(?:[sS\x{17F}]|[tT]|[rR][eE]|[vV][eE]|[mM]|[lL][lL]|[dD]))?"
KIMI_PATTERN = "|".join(
    [
        r"[\p{Han}]+",
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}*{_LOWER}+{_CONTRACTION}",
        rf"[^\r\n\p{{L}}\p{{N}}]?{_UPPER}+{_LOWER}*{_CONTRACTION}",
        r"\p{N}{1,3}",
        r" ?[^\s\p{L}\p{N}]+[\r\n]*",
        r"\s*[\r\n]+",
        r"\s+(?!\S)",
        r"\s+",
    ]
)
_KIMI_CLASSES = (None, "TikTokenTokenizer")


def from_tiktoken(
    model_file: str | os.PathLike[str],
    config_file: str | os.PathLike[str] | None = None,
    *,
    pattern: str = KIMI_PATTERN,
    name: str | None = None,
    cache_dir: str | os.PathLike[str] | None = None,
) -> Tokenizer:
    """Return the tokenizer of a tiktoken file, such as Kimi K2's ``tiktoken.model``.

    >>> tokenizer = from_tiktoken("Kimi-K2-Thinking/tiktoken.model")

    The conversion takes a few seconds for 160,000 tokens; its result is cached on disk.

    Args:
        model_file: A file with a token in base64 and its rank on each line.
        config_file: The tokenizer_config.json with the special tokens (``added_tokens_decoder``); None
            uses the one beside the file. 256 special tokens follow the last rank; unnamed ones
            are called ``<|reserved_token_ID|>``.
        pattern: The regular expression that splits texts before merging, in the syntax of
            Oniguruma; Kimi K2's by default.
        name: The tokenizer's name; None uses the path.
        cache_dir: Cache folder of the result; None uses TINKEX_CACHE_DIR or the user's cache folder.

    Raises:
        TokenizerError: A file is too large, malformed or missing.
    """
    file = Path(model_file).expanduser()
    config = Path(config_file).expanduser() if config_file else file.with_name(CONFIG)
    if config_file and not config.is_file():
        raise TokenizerError(f"there is no {config}")
    return _read(file, config, name or str(file), pattern, cache_dir).load()


def read_tiktoken_folder(
    folder: Path, name: str, cache_dir: str | os.PathLike[str] | None = None
) -> TokenizerFiles:
    """Read a folder with a tiktoken.model of the Kimi models, as the files of a tokenizer.

    Raises:
        TokenizerError: A file is too large or malformed, or the model is of another family.
    """
    config = folder / CONFIG
    kind = read_json(config, CONFIG).get("tokenizer_class")
    if kind not in _KIMI_CLASSES:
        raise TokenizerError(
            f"{name!r} has a {TIKTOKEN} but no tokenizer.json, and its class {kind!r} is not one whose "
            "rules tinkex knows; code of a repository is never run. If you know its regular "
            "expression: tinkex.tokenizer.from_tiktoken(file, pattern=...)"
        )
    return _read(folder / TIKTOKEN, config, name, KIMI_PATTERN, cache_dir)


def _read(
    file: Path,
    config_file: Path,
    name: str,
    pattern: str,
    cache_dir: str | os.PathLike[str] | None,
) -> TokenizerFiles:
    content = read(file, TIKTOKEN)
    ranks = _ranks(content, file)
    special = _special(read_json(config_file, CONFIG), len(ranks), config_file)
    key = hashlib.sha256()
    for part in (_FORM, content, pattern.encode(), repr(special).encode()):
        key.update(len(part).to_bytes(8, "big") + part)
    converted = kept(
        Path("tokenizers", key.hexdigest()), lambda: _converted(ranks, special, pattern), cache_dir
    )
    return read_folder(config_file.parent, name, converted)


def _ranks(content: bytes, file: Path) -> dict[bytes, int]:
    """Return the tokens of a tiktoken file with their ranks, which must count from 0 without gaps."""
    ranks: dict[bytes, int] = {}
    for number, line in enumerate(content.splitlines(), start=1):
        if not line.strip():
            continue
        try:
            encoded, rank = line.split()
            token = base64.b64decode(encoded, validate=True)
            ranks[token] = int(rank)
        except (ValueError, binascii.Error):
            raise TokenizerError(
                f"{file} is malformed: line {number} is not a base64 token with its rank"
            ) from None
    if b"" in ranks or sorted(ranks.values()) != list(range(len(ranks))) or not ranks:
        raise TokenizerError(
            f"{file} is malformed: its ranks do not count from 0 to {len(ranks) - 1}, one for each token"
        )
    return dict(sorted(ranks.items(), key=lambda item: item[1]))


def _special(config: Mapping[str, Any], first: int, file: Path) -> list[tuple[str, bool]]:
    """Return the special tokens after the ranks, each with whether it counts as special."""
    named: dict[int, tuple[str, bool]] = {}
    for text, token in (config.get("added_tokens_decoder") or {}).items():
        try:
            id_, content, special = int(text), token["content"], bool(token.get("special", True))
        except (ValueError, TypeError, KeyError, AttributeError):
            raise TokenizerError(
                f"{file} is malformed: added_tokens_decoder[{text!r}] is not a token with its content"
            ) from None
        if not first <= id_ < first + SPECIAL_TOKENS:
            raise TokenizerError(
                f"{file} gives the special token {content!r} the id {id_}; with {first} ranks there is "
                f"room from {first} to {first + SPECIAL_TOKENS - 1}. Do the files belong together?"
            )
        named[id_] = (content, special)
    ids = range(first, first + SPECIAL_TOKENS)
    tokens = [named.get(id_, (f"<|reserved_token_{id_}|>", True)) for id_ in ids]
    if len({content for content, _ in tokens}) < len(tokens):
        raise TokenizerError(f"{file} is malformed: two of its special tokens are the same")
    return tokens


def _converted(ranks: Mapping[bytes, int], special: list[tuple[str, bool]], pattern: str) -> bytes:
    written = {token: token.decode("latin-1").translate(_BYTE_CHARACTERS) for token in ranks}
    # As in tiktoken: a piece that is a token is never built from its parts.
    model = models.BPE(
        {written[token]: rank for token, rank in ranks.items()},
        [(written[left], written[right]) for left, right in _merges(ranks)],
        ignore_merges=True,
    )
    backend = tokenizers.Tokenizer(model)
    backend.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    backend.decoder = decoders.ByteLevel()
    backend.add_tokens(
        [
            AddedToken(content, special=is_special, normalized=False)
            for content, is_special in special
        ]
    )
    return backend.to_str().encode()


def _merges(ranks: Mapping[bytes, int]) -> Iterator[tuple[bytes, bytes]]:
    for token in ranks:
        cuts = [(token[:i], token[i:]) for i in range(1, len(token))]
        pairs = [pair for pair in cuts if pair[0] in ranks and pair[1] in ranks]
        yield from sorted(pairs, key=lambda pair: (ranks[pair[0]], ranks[pair[1]]))


def _byte_characters() -> dict[int, int]:
    """Return the printable character for each byte in a byte-level vocabulary."""
    printable = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in printable]
    return dict(zip(others, range(0x100, 0x100 + len(others)), strict=True))


_BYTE_CHARACTERS = _byte_characters()
# Part of the cache key; change it when the conversion changes.
_FORM = b"1"
