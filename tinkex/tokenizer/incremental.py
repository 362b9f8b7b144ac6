"""Incremental decoding of tokens, without partial characters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import tokenizers

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
_BYTE = re.compile(r"<0x[0-9A-Fa-f]{2}>")
# The most bytes of a UTF-8 character; a token has at least one byte.
_LONGEST_CHARACTER = 4
_LONG_WINDOW = 32


class IncrementalDecoder:
    """Decodes token ids into pieces of text that later tokens cannot change.

    >>> decoder = tokenizer.incremental_decoder()
    >>> for chunk in sampler.sample_stream(prompt):
    ...     if chunk.token_id is not None:
    ...         print(decoder.feed(chunk.token_id), end="", flush=True)
    >>> print(decoder.finish())

    The pieces, with the last one of `finish`, add up to the result of `Tokenizer.decode` for all tokens. A
    character whose bytes are spread over several tokens is returned with the last of them. A run of byte
    tokens (``<0xE2>``) is returned at its end, because only then it is known whether it is valid UTF-8.
    The cost per token is independent of the length of the text.

    Use one decoder per sequence; it is not thread-safe.
    """

    def __init__(self, backend: tokenizers.Tokenizer, *, skip_special_tokens: bool = False) -> None:
        self._backend = backend
        self._skip = skip_special_tokens
        added = backend.get_added_tokens_decoder()
        self._special = {id_ for id_, token in added.items() if token.special}
        self._falls_back_to_bytes = _has_byte_fallback(backend.decoder)
        # Only a window of tokens is kept: some whose text was returned already, as the context of the
        # others, and those whose text was not, or not completely.
        self._window: list[int] = []
        self._settled = 0
        self._out = 0

    def feed(self, tokens: int | Iterable[int]) -> str:
        """Return the text that became final with one or more further tokens.

        Args:
            tokens: A token id, or several in order.

        Returns:
            The next piece of the text; empty while a character is incomplete.
        """
        more = tokens if isinstance(tokens, Iterable) else (tokens,)
        return "".join([self._feed(int(token)) for token in more])

    def finish(self) -> str:
        """Return the rest of the text, and reset the decoder.

        An incomplete character becomes U+FFFD, as in `Tokenizer.decode`.
        """
        rest = self._text(self._window)[self._out :]
        self._window, self._settled, self._out = [], 0, 0
        return rest

    def _feed(self, token: int) -> str:
        written = self._backend.id_to_token(token) if 0 <= token < 1 << 32 else None
        if written is None or (self._skip and token in self._special):
            return ""
        self._window.append(token)
        if self._falls_back_to_bytes and _BYTE.fullmatch(written):
            return ""
        text = self._text(self._window)
        certain = text.removesuffix(_REPLACEMENT)
        piece = certain[self._out :]
        self._out = max(self._out, len(certain))
        if len(certain) == len(text):
            self._move_window(text)
        elif len(self._window) > _LONG_WINDOW:
            self._shorten_window(text)
        return piece

    def _move_window(self, text: str) -> None:
        """Drop the tokens before the last piece, if that piece is sufficient context."""
        context = self._window[self._settled :]
        # Decoders that strip the beginning of a text do so here, where it was returned already.
        self._settled = len(self._window)
        kept = self._text(context)
        if kept and text.endswith(kept):
            self._window, self._settled, self._out = context, len(context), len(kept)

    def _shorten_window(self, text: str) -> None:
        """Drop the beginning of a long run of bytes that are not UTF-8."""
        tail = self._window[-_LONGEST_CHARACTER:]
        kept = self._text(tail)
        head = self._text(self._window[:-_LONGEST_CHARACTER])
        if head + kept == text and len(head) <= self._out:
            self._window, self._settled, self._out = tail, 0, self._out - len(head)

    def _text(self, tokens: list[int]) -> str:
        return str(self._backend.decode(tokens, skip_special_tokens=False))


def _has_byte_fallback(decoder: Any) -> bool:
    # The package's serialized state: the decoder as in tokenizer.json.
    return decoder is not None and b'"ByteFallback"' in decoder.__getstate__()
