"""Examples as tokens, each with the weight that predicting it has in the loss."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Literal

import numpy as np
import numpy.typing as npt
from attrs import field, frozen

from tinkex.errors import ValidationError
from tinkex.losses import cross_entropy_datum
from tinkex.recipes.encoding import Encoder, Work
from tinkex.recipes.examples import Conversation, Example
from tinkex.recipes.formats import ChatFormat, chat_format
from tinkex.recipes.mistakes import Mistake, WrongFieldError, error_of, ranges
from tinkex.recipes.rendering import Renderer
from tinkex.types import Datum

if TYPE_CHECKING:
    from tinkex.tokenizer import Tokenizer

LossOn = Literal["answers", "all"]
TooLong = Literal["error", "skip", "truncate"]

# So many texts are encoded at once: all cores work, and the pieces of text do not pile up.
_AT_ONCE = 1024


@frozen(eq=False)
class TokenizedExample:
    """N tokens to learn from.

    Attributes:
        line: The line of the file that they came from.
        tokens: Token ids, int64 [N].
        weights: How much predicting each token counts, float32 [N]. Nothing precedes the first
            token, so its weight is not used.
    """

    line: int
    tokens: npt.NDArray[np.int64]
    weights: npt.NDArray[np.float32]

    def datum(self) -> Datum:
        """Return the example as the loss ``cross_entropy`` takes it: N - 1 positions."""
        return cross_entropy_datum(self.tokens, self.weights)

    def cut(self, length: int) -> TokenizedExample:
        """Return the first tokens."""
        return TokenizedExample(self.line, self.tokens[:length], self.weights[:length])

    @property
    def weight(self) -> float:
        """Return the sum of the weights that are used."""
        return float(self.weights[1:].sum())

    def spans(self, tokenizer: Tokenizer) -> Iterator[tuple[str, float]]:
        """Yield the text in pieces of one weight, each with its weight."""
        weights = self.weights.copy()
        weights[0] = 0.0
        edges = [0, *(np.flatnonzero(np.diff(weights)) + 1).tolist(), len(weights)]
        for begin, end in pairwise(edges):
            yield tokenizer.decode(self.tokens[begin:end]), float(weights[begin])


@frozen(eq=False)
class Tokenized:
    """The tokens of all examples.

    Attributes:
        examples: What is trained on. A conversation whose template rewrites earlier turns gives one
            for each of its answers.
        truncated: Lines whose tokens past the limit were cut off.
        skipped: Lines that were left out because they are too long.
        ignored: How many lines have each field that the chat template does not write.
        notices: What to know before training, one sentence each.
    """

    examples: Sequence[TokenizedExample]
    truncated: Sequence[int] = ()
    skipped: Sequence[int] = ()
    ignored: Mapping[str, int] = field(factory=dict)
    notices: Sequence[str] = ()


def tokenize(
    examples: Iterable[Example],
    tokenizer: Tokenizer,
    chat: ChatFormat | None = None,
    *,
    loss_on: LossOn = "answers",
    max_length: int | None = None,
    too_long: TooLong = "error",
    ignore_fields: Collection[str] = (),
    name: str = "",
    unit: str = "line",
) -> Tokenized:
    r"""Turn examples into tokens with weights.

    >>> one = tokenize([Completion(1, "2+2=", "4")], tokenizer).examples[0]
    >>> list(one.spans(tokenizer))
    [('2+2=', 0.0), ('4<|im_end|>', 1.0)]

    A conversation is encoded as its template writes it, all in one, and the answers are found in it.
    What stands before an answer has the tokens that sampling sends.

    Args:
        examples: From `read_examples`, or made by hand.
        tokenizer: The model's tokenizer.
        chat: How conversations are written; None takes `chat_format(tokenizer)`.
        loss_on: "answers" counts completions and the assistant's words, "all" every token.
        max_length: Most tokens of an example; None is no limit.
        too_long: What becomes of a longer one: "error" raises, "skip" leaves it out, "truncate"
            cuts its end off (and leaves it out if nothing that counts remains).
        ignore_fields: Fields of messages that the template may leave out, such as ``name``.
        name: The file's name, for errors.
        unit: What an example's number counts, for errors.

    Raises:
        ValidationError: The template refuses an example or leaves a part of it out, an example is
            too long or too short, or nothing in it counts. Every one is named.
    """
    writer = _Writer(tokenizer, chat, ignore_fields, keeps_all=loss_on == "all")
    encoder = Encoder(tokenizer, context_weight=1.0 if loss_on == "all" else 0.0)
    done: list[TokenizedExample] = []
    truncated: list[int] = []
    skipped: list[int] = []
    lengthy: list[tuple[int, int]] = []
    written = writer.written(examples)
    while part := list(islice(written, _AT_ONCE)):
        for line, tokens, weights in encoder.encoded(part):
            whole = TokenizedExample(line, tokens, weights)
            if mistake := _mistake_in(whole, encoder.end_id):
                writer.mistakes.append(Mistake(whole.line, mistake))
                continue
            one, length = whole, len(whole.tokens)
            if max_length is not None and length > max_length:
                if too_long == "error":
                    lengthy.append((one.line, length))
                    continue
                one = whole.cut(max_length)
                if too_long == "skip" or not one.weight:
                    skipped.append(one.line)
                    continue
                truncated.append(one.line)
            done.append(one)
    if writer.mistakes:
        raise error_of(sorted(writer.mistakes, key=lambda one: one.line), name, unit)
    if lengthy:
        raise _too_long(lengthy, max_length, name, unit)
    notices = [*writer.notices(unit), *encoder.notices(unit)]
    return Tokenized(done, truncated, skipped, dict(writer.ignored), notices)


def _mistake_in(one: TokenizedExample, end: int | None) -> str | None:
    if len(one.tokens) < 2:
        return "is too short: it needs at least two tokens"
    learned = one.tokens[1:][one.weights[1:] > 0]
    if not len(learned):
        return "no token counts: a model has to read something before what it learns to write"
    if end is not None and (learned == end).all():
        return (
            "only the token that ends the text would be learned: a model has to read something "
            "before what it learns to write"
        )
    return None


def _too_long(
    lengthy: Sequence[tuple[int, int]], most: int | None, name: str, unit: str
) -> ValidationError:
    longest_line, longest = max(lengthy, key=lambda one: one[1])
    lines = {line for line, _ in lengthy}
    count = f"{len(lines):,} examples are" if len(lines) > 1 else "one example is"
    return ValidationError(
        f"{count} longer than {most:,} tokens ({ranges(lines, unit)}; the longest, {unit} "
        f"{longest_line}, has {longest:,}). Choose what becomes of them: skip or truncate (on the "
        "command line --too-long)",
        path=name or "too_long",
    )


class _Writer:
    """Writes examples as they are encoded, and keeps the mistakes."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        chat: ChatFormat | None,
        ignore_fields: Collection[str],
        *,
        keeps_all: bool,
    ) -> None:
        self._tokenizer = tokenizer
        self._chat = chat
        self._ignore_fields = ignore_fields
        self._keeps_all = keeps_all
        self._renderer: Renderer | None = None
        self.mistakes: list[Mistake] = []

    @property
    def ignored(self) -> Mapping[str, int]:
        """Return how many lines have each field that the template does not write."""
        return self._renderer.ignored if self._renderer else {}

    def notices(self, unit: str) -> Iterator[str]:
        """Yield what to know of all conversations."""
        if self._renderer is not None:
            yield from self._renderer.notices(unit)

    def written(self, examples: Iterable[Example]) -> Iterator[Work]:
        """Yield what is encoded of each example; what is wrong with others is noted."""
        for example in examples:
            if not isinstance(example, Conversation):
                yield example.line, example
                continue
            try:
                rendered = self._rendering().render(example)
            except WrongFieldError as error:
                self.mistakes.append(Mistake(example.line, str(error)))
                continue
            for one in rendered:
                yield example.line, one

    def _rendering(self) -> Renderer:
        if self._renderer is None:
            self._renderer = Renderer(
                self._chat or chat_format(self._tokenizer),
                list(self._tokenizer.special_tokens),
                end=self._tokenizer.eos_token or "",
                ignore_fields=self._ignore_fields,
                keeps_all=self._keeps_all,
            )
        return self._renderer
