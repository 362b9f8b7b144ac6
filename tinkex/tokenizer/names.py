"""Mapping of model names to tokenizers."""

from __future__ import annotations

import re

from attrs import frozen

from tinkex.errors import TokenizerError, ValidationError

LLAMA_3_PREFIX = "meta-llama/Llama-3"
LLAMA_3_TOKENIZER = "thinkingmachineslabinc/meta-llama-3-instruct-tokenizer"

_OTHER_NAMES = {"moonshotai/Kimi-K2.5-Text-Only": "moonshotai/Kimi-K2.5"}

# The commits that the service's own client uses, so that the token ids match.
PINNED = {
    "moonshotai/Kimi-K2-Thinking": "612681931a8c906ddb349f8ad0f582cb552189cd",
    "moonshotai/Kimi-K2.5": "4d01dfe0332d63057c186e0b262165819efb6611",
    "moonshotai/Kimi-K2.6": "b5aabbfb20227ed42becbf5541dbffd213942c58",
    "moonshotai/Kimi-K3": "f831ab66814297da540d832a5235f8e904f29d06",
}

_VENDOR_PREFIXES = ("TML/", "thinkingmachines/")
_ID = re.compile(r"(?:[\w-][\w.-]*/)?[\w-][\w.-]*", re.ASCII)
_REVISION = re.compile(r"[\w-][\w.-]*(?:/[\w-][\w.-]*)*", re.ASCII)


@frozen
class TokenizerId:
    """The id of a tokenizer on the Hugging Face hub.

    Attributes:
        name: Such as "Qwen/Qwen3-8B".
        revision: A branch, tag or commit.
    """

    name: str
    revision: str = "main"


def resolve(
    model: str, revision: str | None = None, *, tokenizer_id: str | None = None
) -> TokenizerId:
    """Return the hub's id of a model's tokenizer.

    A suffix after a colon names a variant of the service (``:peft:131072``), not a commit of the hub;
    for a commit, pass `revision`.

    >>> resolve("meta-llama/Llama-3.1-8B").name
    'thinkingmachineslabinc/meta-llama-3-instruct-tokenizer'
    >>> resolve("Qwen/Qwen3-8B/fast").name, resolve("Qwen/Qwen3-8B:peft:131072").name
    ('Qwen/Qwen3-8B', 'Qwen/Qwen3-8B')

    Args:
        model: A model's name.
        revision: A branch, tag or commit; None uses that of the service, else "main".
        tokenizer_id: The tokenizer's id from the server, which is used unchanged.

    Raises:
        ValidationError: The name or the revision is invalid.
        TokenizerError: The model's tokenizer is not on the hub.
    """
    name = (tokenizer_id or model).partition(":")[0]
    if not tokenizer_id:
        name = _by_model_name(name)
    name = _OTHER_NAMES.get(name, name)
    if name.startswith(_VENDOR_PREFIXES):
        raise TokenizerError(
            f"the tokenizer of {name!r} is not on the Hugging Face hub: it comes in a package of the "
            "vendor's. Pass a path or an object instead: get_tokenizer('/path/to/folder')"
        )
    if not _ID.fullmatch(name) or ".." in name:
        raise ValidationError(
            f"{model!r} is neither an existing path nor a name such as 'Qwen/Qwen3-8B'",
            path="model",
        )
    if revision is not None and not _REVISION.fullmatch(revision):
        raise ValidationError(f"{revision!r} is not a valid branch, tag or commit", path="revision")
    return TokenizerId(name, revision or PINNED.get(name, "main"))


def _by_model_name(name: str) -> str:
    if name.startswith(LLAMA_3_PREFIX):
        return LLAMA_3_TOKENIZER
    parts = name.split("/")
    return "/".join(parts[:2]) if len(parts) == 3 else name
