"""A conversation with a model: its messages, and sampling of the next response."""

from __future__ import annotations

import json
from collections.abc import Generator, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import evolve

from tinkex.errors import NotFoundError, ValidationError
from tinkex.recipes.examples import Conversation as Recorded
from tinkex.recipes.formats import ChatFormat
from tinkex.recipes.reading import read_examples
from tinkex.types import ModelInput, SamplingParams

if TYPE_CHECKING:
    from tinkex.sampling import SamplingClient
    from tinkex.tokenizer import Tokenizer


class Conversation:
    """A conversation with a model.

    Attributes:
        messages: The messages, starting with the system message if there is one.
        left_out: How many of them the last prompt had no room for.
        stop_reason: Why the last response ended: "stop", "length", or "interrupted".
    """

    def __init__(
        self,
        sampler: SamplingClient,
        tokenizer: Tokenizer,
        chat: ChatFormat,
        params: SamplingParams,
        context_length: int | None = None,
    ) -> None:
        self._sampler = sampler
        self._tokenizer = tokenizer
        self._chat = chat
        self._params = evolve(params, stop=chat.stops() or None)
        self._context = context_length
        self.messages: list[dict[str, Any]] = []
        self.left_out = 0
        self.stop_reason = "stop"

    @property
    def system(self) -> str | None:
        """The system message."""
        has_one = self.messages and self.messages[0]["role"] == "system"
        return str(self.messages[0]["content"]) if has_one else None

    @system.setter
    def system(self, text: str | None) -> None:
        if self.system is not None:
            del self.messages[0]
        if text:
            self.messages.insert(0, {"role": "system", "content": text})

    def reset(self) -> None:
        """Delete all messages but the system message."""
        self.messages = self.messages[:1] if self.system is not None else []

    def save(self, file: Path) -> None:
        """Append the conversation to a file that `tinkex train` reads, as a line."""
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps({"messages": self.messages}, ensure_ascii=False) + "\n")

    def load(self, file: Path) -> None:
        """Load the last conversation of a file.

        Raises:
            ValidationError: Its last line is none.
        """
        last = read_examples(file).examples[-1]
        if not isinstance(last, Recorded):
            raise ValidationError("its last line is no conversation", path=str(file))
        system = self.system
        self.messages = [dict(message) for message in last.messages]
        if system is not None:
            self.system = system

    def respond(self, text: str) -> Generator[str, None, None]:
        """Send a message to the model, and yield its response in pieces as they are sampled.

        Both are part of the conversation when the response has ended; one that is interrupted (the
        iterator is closed, or `KeyboardInterrupt` is raised in it) is so far as it came. After an
        error, or if it was interrupted before its first word, nothing was said.
        """
        self.messages.append({"role": "user", "content": text})
        pieces: list[str] = []
        try:
            prompt, room = self._prompt()
            for piece in _before_stop(self._drawn(prompt, room), self._texts()):
                # The plain format leaves the space before a response to the model.
                shown = piece if pieces else piece.lstrip()
                if shown:
                    pieces.append(shown)
                    yield shown
        except (KeyboardInterrupt, GeneratorExit):
            self.stop_reason = "interrupted"
            if pieces:
                self._record("".join(pieces))
            else:
                del self.messages[-1]
            raise
        except BaseException:
            del self.messages[-1]
            raise
        self._record("".join(pieces))

    def _record(self, response: str) -> None:
        self.messages.append({"role": "assistant", "content": response.rstrip()})

    def _texts(self) -> list[str]:
        return [one for one in self._chat.stops() if isinstance(one, str)]

    def _prompt(self) -> tuple[list[int], int | None]:
        """Return the tokens to read, without the oldest turns if they have no room."""
        first = 1 if self.system is not None else 0
        wanted = self._params.max_tokens or 1
        ids: list[int] = []
        for skipped in range(0, len(self.messages) - first, 2):
            shown = [*self.messages[:first], *self.messages[first + skipped :]]
            ids = self._tokenizer.encode(self._chat.prompt(shown), add_special_tokens=False)
            self.left_out = skipped
            if self._context is None or len(ids) + wanted <= self._context:
                return ids, self._params.max_tokens
        room = (self._context or 0) - len(ids)
        if room < 1:
            raise ValidationError(
                f"it has more tokens than the model can read at once ({self._context:,})",
                path="message",
            )
        return ids, room

    def _drawn(self, prompt: Sequence[int], room: int | None) -> Iterator[str]:
        """Yield the text of a response as it is sampled; at once if the server cannot stream."""
        params = evolve(self._params, max_tokens=room)
        model_input = ModelInput.from_ints(prompt)
        decoder = self._tokenizer.incremental_decoder(skip_special_tokens=True)
        self.stop_reason = "stop"
        chunks = self._sampler.sample_stream(model_input, params)
        try:
            for chunk in chunks:
                if chunk.token_id is not None:
                    yield decoder.feed(chunk.token_id)
                if chunk.finish_reason is not None:
                    self.stop_reason = chunk.finish_reason
        except NotFoundError:
            one = self._sampler.sample(model_input, 1, params).result().sequences[0]
            self.stop_reason = one.stop_reason
            yield self._tokenizer.decode(one.tokens, skip_special_tokens=True)
            return
        finally:
            chunks.close()
        yield decoder.finish()


def _before_stop(pieces: Iterator[str], stops: Sequence[str]) -> Iterator[str]:
    r"""Yield text up to the stop that is complete first, holding back what may become one.

    >>> list(_before_stop(iter(["Yes.\n", "\nUs", "er: And"]), ["\n\nUser:"]))
    ['Yes.']
    """
    held = ""
    for piece in pieces:
        held += piece
        found = [(place + len(stop), place) for stop in stops if (place := held.find(stop)) >= 0]
        if found:
            yield held[: min(found)[1]]
            return
        kept = max((_overlap(held, stop) for stop in stops), default=0)
        if len(held) > kept:
            yield held[: len(held) - kept]
            held = held[len(held) - kept :]
    if held:
        yield held


def _overlap(text: str, stop: str) -> int:
    """Return how many characters at a text's end are the beginning of a stop."""
    longest = min(len(text), len(stop) - 1)
    return next((n for n in range(longest, 0, -1) if text.endswith(stop[:n])), 0)
