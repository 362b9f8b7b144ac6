"""Examples as tokens, each with the weight that predicting it has in the loss."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
from attrs import frozen

from tinkex.errors import TokenizerError, ValidationError
from tinkex.finetune.examples import Completion, Conversation, Document, Example
from tinkex.finetune.formats import ChatFormat, chat_format, end_of_answer
from tinkex.losses import cross_entropy_datum
from tinkex.types import Datum

if TYPE_CHECKING:
    from tinkex.tokenizer import Tokenizer

LossOn = Literal["answers", "all"]
TooLong = Literal["error", "skip", "truncate"]

# So many examples are encoded at once: all cores work, and the pieces of text do not pile up.
_AT_ONCE = 1024


@frozen(eq=False)
class TokenizedExample:
    """Hold N tokens to learn from.

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
    """Hold what came of all examples.

    Attributes:
        examples: What is trained on. A conversation whose template rewrites earlier turns gives one
            for each of its answers.
        truncated: Lines whose tokens past the limit were cut off.
        skipped: Lines that were left out because they are too long.
    """

    examples: Sequence[TokenizedExample]
    truncated: Sequence[int] = ()
    skipped: Sequence[int] = ()


@frozen
class _Piece:
    """Hold a stretch of text that is encoded by itself.

    Attributes:
        text: The text.
        weight: The weight of each of its tokens.
        framed: Whether the tokenizer's own frame (a begin-of-text token) goes around it.
    """

    text: str
    weight: float
    framed: bool = False


def tokenize(
    examples: Iterable[Example],
    tokenizer: Tokenizer,
    chat: ChatFormat | None = None,
    *,
    loss_on: LossOn = "answers",
    max_length: int | None = None,
    too_long: TooLong = "error",
) -> Tokenized:
    r"""Turn examples into tokens with weights.

    >>> one = tokenize([Completion(1, "2+2=", "4")], tokenizer).examples[0]
    >>> list(one.spans(tokenizer))
    [('2+2=', 0.0), ('4<|im_end|>', 1.0)]

    A prompt is encoded by itself, so that its tokens are those that sampling will send; the answer
    follows, with the token that ends it.

    Args:
        examples: From `read_examples`, or made by hand.
        tokenizer: The model's tokenizer.
        chat: How conversations are written; None takes `chat_format(tokenizer)`.
        loss_on: "answers" counts completions and the assistant's words, "all" every token.
        max_length: Most tokens of an example; None is no limit.
        too_long: What becomes of a longer one: "error" raises, "skip" leaves it out, "truncate"
            cuts its end off (and leaves it out if nothing that counts remains).

    Raises:
        ValidationError: An example is too long, too short, or nothing in it counts.
        TokenizerError: The chat template refuses a conversation; the message names its line.
    """
    writer = _Writer(tokenizer, chat, loss_on)
    done: list[TokenizedExample] = []
    truncated: list[int] = []
    skipped: list[int] = []
    lengthy: list[tuple[int, int]] = []
    for whole in _encoded(_sequences(examples, writer), tokenizer):
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
        if not one.weight:
            raise ValidationError(
                "no token counts: a model has to read something before what it learns to write",
                path=f"line {one.line}",
            )
        done.append(one)
    if lengthy:
        raise _too_long(lengthy, max_length)
    return Tokenized(done, truncated, skipped)


def _too_long(lengthy: Sequence[tuple[int, int]], most: int | None) -> ValidationError:
    longest_line, longest = max(lengthy, key=lambda one: one[1])
    lines = ", ".join(str(line) for line, _ in lengthy[:10]) + (", ..." if lengthy[10:] else "")
    count = f"{len(lengthy):,} examples are" if len(lengthy) > 1 else "one example is"
    return ValidationError(
        f"{count} longer than {most:,} tokens (line {lines}; the longest, line {longest_line}, has "
        f"{longest:,}). Choose what becomes of them: skip or truncate (on the command line --too-long)",
        path="too_long",
    )


class _Writer:
    """Write examples as pieces of text with weights."""

    def __init__(self, tokenizer: Tokenizer, chat: ChatFormat | None, loss_on: LossOn) -> None:
        self._tokenizer = tokenizer
        self._chat = chat
        self._end = tokenizer.eos_token or ""
        self._special = list(tokenizer.special_tokens)
        self._context = 1.0 if loss_on == "all" else 0.0

    def sequences(self, example: Example) -> Iterator[list[_Piece]]:
        """Yield the pieces of each sequence that an example gives."""
        if isinstance(example, Document):
            yield [_Piece(example.text, 1.0, framed=True), _Piece(self._end, 1.0)]
        elif isinstance(example, Completion):
            prompt = _Piece(example.prompt, self._context, framed=True)
            yield [prompt, _Piece(example.completion + self._end, 1.0)]
        else:
            yield from self._answers(example)

    def _answers(self, example: Conversation) -> Iterator[list[_Piece]]:
        """Put all answers into one sequence as long as the template leaves earlier turns alone."""
        pieces: list[_Piece] = []
        written = ""
        for index, weight in enumerate(example.weights):
            if not weight:
                continue
            prompt, answer = self._turn(example, index)
            if pieces and not prompt.startswith(written):
                yield pieces
                pieces, written = [], ""
            pieces.append(_Piece(prompt[len(written) :], self._context))
            pieces.append(_Piece(answer, weight))
            written = prompt + answer
        yield pieces

    def _turn(self, example: Conversation, index: int) -> tuple[str, str]:
        """Return what stands before an answer, and the answer with the token that ends it."""
        if self._chat is None:
            self._chat = chat_format(self._tokenizer)
        before = example.messages[:index]
        prompt = self._chat.prompt(before, example.tools)
        whole = self._chat.whole(example.messages[: index + 1], example.tools)
        if not whole.startswith(prompt):
            # Some templates open the answer with more (such as <think>) when they ask for one.
            common = whole[: _common(prompt, whole)]
            if len(common) < len(self._chat.whole(before, example.tools) if before else ""):
                raise ValidationError(
                    "the chat template writes what stands before this answer differently when it "
                    "asks for it, so nothing can tell where the answer begins; try the plain format",
                    path=f"line {example.line}: messages[{index}]",
                )
            prompt = common
        answer = whole[len(prompt) :]
        return prompt, answer[: end_of_answer(answer, self._special)]


def _common(one: str, other: str) -> int:
    """Return how many characters two texts begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))


def _sequences(examples: Iterable[Example], writer: _Writer) -> Iterator[tuple[int, list[_Piece]]]:
    for example in examples:
        try:
            for pieces in writer.sequences(example):
                yield example.line, pieces
        except TokenizerError as error:
            error.message = f"line {example.line}: {error.message}"
            raise


def _encoded(
    sequences: Iterator[tuple[int, list[_Piece]]], tokenizer: Tokenizer
) -> Iterator[TokenizedExample]:
    while part := list(islice(sequences, _AT_ONCE)):
        ids: dict[tuple[str, bool], Any] = {}
        for framed in (False, True):
            texts = list(
                dict.fromkeys(
                    piece.text for _, pieces in part for piece in pieces if piece.framed == framed
                )
            )
            encoded = tokenizer.encode_batch(texts, add_special_tokens=framed)
            ids |= {(text, framed): row for text, row in zip(texts, encoded, strict=True)}
        for line, pieces in part:
            rows = [ids[piece.text, piece.framed] for piece in pieces]
            tokens = np.fromiter((one for row in rows for one in row), np.int64)
            weights = np.repeat(
                np.array([piece.weight for piece in pieces], np.float32), [len(row) for row in rows]
            )
            if len(tokens) < 2:
                raise ValidationError(
                    "is too short: it needs at least two tokens", path=f"line {line}"
                )
            yield TokenizedExample(line, tokens, weights)
