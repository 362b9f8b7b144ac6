"""Finding stop strings in text that is decoded token by token."""

from __future__ import annotations

from collections.abc import Callable, Sequence

Decode = Callable[[Sequence[int]], str]

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"
# A character of UTF-8 has at most four bytes, so at most three tokens in a row can add nothing to the
# text that is complete; beyond that the bytes are simply not valid and count as decoded.
_MAX_WAITING = 4


class StopFinder:
    """Watches one sequence for its stop strings.

    Decoding all tokens again at each step would cost quadratic time, and decoding each alone
    would break characters that span tokens and spaces that depend on the token before. So a
    window of tokens is decoded: those of the previous piece of text, and the new ones after it.

    Example:
        >>> finder = StopFinder(("END",), lambda ids: "".join(map(chr, ids)))
        >>> [finder.feed(ord(letter)) for letter in "an END"]
        [False, False, False, False, False, True]

    """

    def __init__(self, stops: tuple[str, ...], decode: Decode) -> None:
        self._stops = stops
        self._decode = decode
        self._keep = max(map(len, stops)) - 1
        self._context: list[int] = []
        self._pending: list[int] = []
        self._tail = ""
        self._complete = 0
        self._waiting = 0

    def feed(self, token: int) -> bool:
        """Add a token; return whether the text now contains a complete stop string."""
        self._pending.append(token)
        known = self._decode(self._context) if self._context else ""
        text = self._decode(self._context + self._pending)
        piece = text[len(known) :]
        complete = piece.rstrip(_REPLACEMENT)
        self._waiting = 1 if len(complete) > self._complete else self._waiting + 1
        self._complete = len(complete)
        whole = complete == piece or self._waiting >= _MAX_WAITING
        seen = self._tail + (piece if whole else complete)
        if any(stop in seen for stop in self._stops):
            return True
        if whole and piece:
            self._tail = seen[-self._keep :] if self._keep else ""
            self._context, self._pending = self._pending, []
            self._complete = self._waiting = 0
        return False
