"""Tokens on their way from the engine's threads to a stream of server-sent events."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence

import orjson
from attrs import define, field
from tinkex_generated.models import SampleStreamChunk

from tinkex.local.futures import Promise

Decode = Callable[[Sequence[int]], str]

_UNFINISHED = "\N{REPLACEMENT CHARACTER}"


@define(eq=False)
class TokenFeed:
    """What a streamed sample has produced so far, in order."""

    _loop: asyncio.AbstractEventLoop
    _queue: "asyncio.Queue[tuple[int, int, float] | Promise]" = field(
        init=False, factory=asyncio.Queue
    )

    def token(self, sample: int, token: int, logprob: float) -> None:
        """Take a token from the engine; called from its threads."""
        self._put((sample, token, logprob))

    def done(self, promise: Promise) -> None:
        """Take the end of the sample; called from any thread."""
        self._put(promise)

    def _put(self, item: tuple[int, int, float] | Promise) -> None:
        try:
            self._loop.call_soon_threadsafe(self._queue.put_nowait, item)
        except RuntimeError:
            # The loop is closed: the server stopped while the engine was sampling.
            return

    async def chunks(self, decode: Decode | None) -> AsyncIterator[SampleStreamChunk]:
        """Yield a chunk per token as it comes, then one per sequence with its end."""
        texts: dict[int, TextSoFar] = {}
        while not isinstance(item := await self._queue.get(), Promise):
            sample, token, logprob = item
            text = texts.setdefault(sample, TextSoFar(decode))
            yield SampleStreamChunk(
                token=text.add(token), token_id=token, index=sample, logprob=logprob
            )
        result = orjson.loads(item.payload or b"{}")
        if item.failed:
            yield SampleStreamChunk(error=result["error"])
            return
        for sample, sequence in enumerate(result["sequences"]):
            yield SampleStreamChunk(
                index=sample,
                finish_reason=sequence["stop_reason"],
                total_tokens=len(sequence["tokens"]),
            )


@define
class TextSoFar:
    """The text of one sequence, given out in pieces that never end inside a character."""

    _decode: Decode | None
    _tokens: list[int] = field(init=False, factory=list)
    _given: int = field(init=False, default=0)

    def add(self, token: int) -> str:
        """Return the text that this token completes, which may be empty."""
        if self._decode is None:
            return ""
        self._tokens.append(token)
        text = self._decode(self._tokens)
        if text.endswith(_UNFINISHED):
            return ""
        piece = text[self._given :]
        self._given = len(text)
        return piece
