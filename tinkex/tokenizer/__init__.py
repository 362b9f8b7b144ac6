"""Text to token ids and back."""

from tinkex.tokenizer.loading import get_tokenizer
from tinkex.tokenizer.tokenizer import Tokenizer

__all__ = ["Tokenizer", "get_tokenizer"]
