"""Rendered conversations, completions and documents as token ids with weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from tinkex.finetune.examples import Completion, Document
from tinkex.finetune.mistakes import ranges
from tinkex.finetune.rendering import Rendered, Span

if TYPE_CHECKING:
    from tinkex.tokenizer import Tokenizer

Work = tuple[int, Rendered | Completion | Document]
"""What is encoded, after its line."""
Encoded = tuple[int, npt.NDArray[np.int64], npt.NDArray[np.float32]]
"""A line, its token ids and their weights."""


def encode_prompt(tokenizer: Tokenizer, text: str) -> list[int]:
    """Return the tokens of a prompt: the tokenizer's frame is added, unless the text begins with it.

    >>> tokenizer.decode(encode_prompt(tokenizer, "2+2="))
    '2+2='
    """
    return _begun_once(tokenizer.encode(text), tokenizer)


def _begun_once(ids: list[int], tokenizer: Tokenizer) -> list[int]:
    begins_twice = len(ids) > 1 and ids[0] == ids[1] == tokenizer.bos_token_id
    return ids[1:] if begins_twice else ids


class Encoder:
    """Encodes texts, many at once, and keeps count of doubled and missing control tokens.

    Args:
        tokenizer: The model's tokenizer.
        context_weight: How much the tokens count that are no answer.
    """

    def __init__(self, tokenizer: Tokenizer, *, context_weight: float = 0.0) -> None:
        self._tokenizer = tokenizer
        self._context_weight = context_weight
        self._end = tokenizer.eos_token or ""
        self.end_id = tokenizer.eos_token_id
        self._endless: list[int] = []
        self._ended: list[int] = []
        self._begun: list[int] = []
        self._headless: list[int] = []

    def encoded(self, part: Sequence[Work]) -> Iterator[Encoded]:
        """Yield the tokens of texts; a conversation may give several."""
        conversations = iter(
            self._conversations([one for _, one in part if isinstance(one, Rendered)])
        )
        rest = iter(self._plain([one for _, one in part if not isinstance(one, Rendered)]))
        for line, one in part:
            if isinstance(one, Rendered):
                yield from ((line, *tokens) for tokens in next(conversations))
            else:
                yield (line, *next(rest))

    def notices(self, unit: str) -> Iterator[str]:
        """Yield what to know of all completions and documents before training on them."""
        if self._endless:
            yield (
                f"the tokenizer {self._tokenizer.name!r} names no token that ends a text, so the model "
                f"does not learn where to stop ({ranges(self._endless, unit)})"
            )
        if self._ended:
            yield (
                f"{self._end} stands at the end of the text already, and is taken once "
                f"({ranges(self._ended, unit)})"
            )
        if self._begun:
            yield (
                f"{self._tokenizer.bos_token} stands at the beginning of the text already, and is "
                f"taken once ({ranges(self._begun, unit)})"
            )
        if self._headless:
            yield (
                "nothing stands before the first token of a text, so that token is read and not learned "
                f"({ranges(self._headless, unit)})"
            )

    def _conversations(
        self, rendered: Sequence[Rendered]
    ) -> Iterator[list[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]]:
        """Yield the tokens of each text: those of the whole, if sampling would send the same ones.

        Some tokenizers join the end of a prompt with the beginning of the answer. Such answers
        each get an example, in which the prompt is encoded by itself, as sampling does.
        """
        texts = [one.text for one in rendered]
        wholes = self._tokenizer.backend.encode_batch(texts, add_special_tokens=False)
        prompts = [one.text[: span.begin] for one in rendered for span in one.spans]
        before = iter(self._tokenizer.encode_batch(prompts, add_special_tokens=False))
        for one, whole in zip(rendered, wholes, strict=True):
            heads = [next(before) for _ in one.spans]
            starts = np.array([begin for begin, _ in whole.offsets])
            if all(
                whole.ids[: len(head)] == head and (starts[len(head) :][:1] >= span.begin).all()
                for head, span in zip(heads, one.spans, strict=True)
            ):
                weights = np.full(len(starts), self._context_weight, np.float32)
                for span in one.spans:
                    weights[(starts >= span.begin) & (starts < span.end)] = span.weight
                yield [(np.array(whole.ids, np.int64), weights)]
            else:
                yield [
                    self._joined(
                        (head, self._context_weight), (self._answer(one, span), span.weight)
                    )
                    for head, span in zip(heads, one.spans, strict=True)
                ]

    def _answer(self, one: Rendered, span: Span) -> list[int]:
        return self._tokenizer.encode(one.text[span.begin : span.end], add_special_tokens=False)

    def _plain(
        self, examples: Sequence[Completion | Document]
    ) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        heads = [one.prompt if isinstance(one, Completion) else one.text for one in examples]
        answers = [self._completion(one) if isinstance(one, Completion) else "" for one in examples]
        before = self._tokenizer.encode_batch(heads)
        after = self._tokenizer.encode_batch(answers, add_special_tokens=False)
        for one, framed, answer in zip(examples, before, after, strict=True):
            head = _begun_once(framed, self._tokenizer)
            if len(head) < len(framed):
                self._begun.append(one.line)
            if isinstance(one, Document) or not head:
                first = (head or answer)[:1]
                if first and first[0] != self._tokenizer.bos_token_id:
                    self._headless.append(one.line)
            if isinstance(one, Completion):
                learned = [*answer, *self._end_of(one, answer, one.completion)]
                yield self._joined((head, self._context_weight), (learned, 1.0))
            else:
                yield self._joined(([*head, *self._end_of(one, head, one.text)], 1.0))

    def _completion(self, one: Completion) -> str:
        """Return a completion without white space after the token that ends it, if it has one."""
        text = one.completion.rstrip()
        if not self._end or not text.endswith(self._end):
            return one.completion
        while text.endswith(self._end * 2):
            text = text.removesuffix(self._end)
        return text

    def _end_of(self, one: Completion | Document, ids: Sequence[int], text: str) -> list[int]:
        """Return the token that ends a text, unless it stands there."""
        if self.end_id is None:
            self._endless.append(one.line)
            return []
        if text.rstrip().endswith(self._end):
            self._ended.append(one.line)
            return []
        # Some tokenizers' own frame ends with it.
        return [] if ids and ids[-1] == self.end_id else [self.end_id]

    @staticmethod
    def _joined(
        *pieces: tuple[Sequence[int], float],
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        tokens = np.fromiter((one for ids, _ in pieces for one in ids), np.int64)
        weights = np.repeat(
            np.array([weight for _, weight in pieces], np.float32), [len(ids) for ids, _ in pieces]
        )
        return tokens, weights
