"""A tokenizer of the `tokenizers` package behind a small interface."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import tokenizers


class Tokenizer:
    """Encode text as token ids, and decode token ids as text.

    >>> tokenizer = get_tokenizer("tinkex/tiny-chat")
    >>> tokenizer.decode(tokenizer.encode("Hello"))
    'Hello'

    Attributes:
        name: The tokenizer's id or path.
    """

    def __init__(self, backend: tokenizers.Tokenizer, name: str) -> None:
        self._backend = backend
        self.name = name

    def encode(self, text: str, add_special_tokens: bool = True) -> list[int]:
        """Return the token ids of a text.

        Special tokens written out in the text, such as ``<|im_end|>``, become their own ids.

        Args:
            text: The text.
            add_special_tokens: Whether the tokenizer's own frame (such as a begin-of-text token)
                is added.
        """
        return list(self._backend.encode(text, add_special_tokens=add_special_tokens).ids)

    def decode(self, tokens: Sequence[int], skip_special_tokens: bool = False) -> str:
        """Return the text of token ids.

        Args:
            tokens: Token ids.
            skip_special_tokens: Whether special tokens are left out of the text.
        """
        return str(
            self._backend.decode(
                [int(token) for token in tokens], skip_special_tokens=skip_special_tokens
            )
        )

    def token_to_id(self, token: str) -> int | None:
        """Return the id of one token as the vocabulary writes it, or None."""
        found: int | None = self._backend.token_to_id(token)
        return found

    @property
    def vocab_size(self) -> int:
        """Return the number of token ids, special tokens included."""
        return int(self._backend.get_vocab_size(with_added_tokens=True))

    def __repr__(self) -> str:
        return f"<Tokenizer {self.name}: {self.vocab_size} tokens>"
