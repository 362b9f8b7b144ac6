"""Tokenizers: text to token ids and back."""

from tinkex.tokenizer.incremental import IncrementalDecoder
from tinkex.tokenizer.loading import TokenizerSource, get_tokenizer
from tinkex.tokenizer.names import TokenizerId, resolve
from tinkex.tokenizer.ranks import KIMI_PATTERN, from_tiktoken
from tinkex.tokenizer.tokenizer import Tokenizer

__all__ = [
    "KIMI_PATTERN",
    "IncrementalDecoder",
    "Tokenizer",
    "TokenizerId",
    "TokenizerSource",
    "from_tiktoken",
    "get_tokenizer",
    "resolve",
]
