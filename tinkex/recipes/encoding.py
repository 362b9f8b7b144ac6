"""Rendered conversations, completions and documents as token ids with weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from attrs import frozen

from tinkex.recipes.examples import Completion, Document
from tinkex.recipes.mistakes import ranges
from tinkex.recipes.rendering import Rendered, Span

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


@frozen(eq=False)
class _Whole:
    """A rendered text and its tokens.

    Attributes:
        rendered: The text.
        ids: Its token ids.
        starts: The character that each of them begins with.
    """

    rendered: Rendered
    ids: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]

    def prompt_ends(self, special_ids: npt.NDArray[np.int64]) -> list[tuple[int, str]]:
        """Return the end of what stands before each answer, after the index of its first token.

        Control tokens part a text before anything else is done to it, so what stands before the last
        one has the same tokens in any case.
        """
        controls = np.flatnonzero(np.isin(self.ids, special_ids))
        found = []
        for span in self.rendered.spans:
            before = controls[self.starts[controls] < span.begin]
            first = int(before[-1]) if len(before) else 0
            at = int(self.starts[first]) if len(before) else 0
            found.append((first, self.rendered.text[at : span.begin]))
        return found

    def continues(self, first: int, end: Sequence[int], span: Span) -> bool:
        """Return whether the tokens before an answer are those of its prompt, and its own follow."""
        last = first + len(end)
        is_same = self.ids[first:last].tolist() == list(end)
        return is_same and bool((self.starts[last : last + 1] >= span.begin).all())

    def weights(self, context: float) -> npt.NDArray[np.float32]:
        """Return the weights of the tokens."""
        weights = np.full(len(self.ids), context, np.float32)
        for span in self.rendered.spans:
            weights[(self.starts >= span.begin) & (self.starts < span.end)] = span.weight
        return weights


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
        self._special_ids = np.array(list(tokenizer.special_tokens.values()), np.int64)
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
        encodings = self._tokenizer.backend.encode_batch(texts, add_special_tokens=False)
        wholes = [
            _Whole(one, np.array(found.ids, np.int64), np.array([at for at, _ in found.offsets]))
            for one, found in zip(rendered, encodings, strict=True)
        ]
        ends = [one.prompt_ends(self._special_ids) for one in wholes]
        unique = list(dict.fromkeys(end for found in ends for _, end in found))
        encoded = self._tokenizer.encode_batch(unique, add_special_tokens=False)
        ids = dict(zip(unique, encoded, strict=True))
        for one, found in zip(wholes, ends, strict=True):
            if all(
                one.continues(first, ids[end], span)
                for (first, end), span in zip(found, one.rendered.spans, strict=True)
            ):
                yield [(one.ids, one.weights(self._context_weight))]
            else:
                yield [self._by_itself(one.rendered, span) for span in one.rendered.spans]

    def _by_itself(
        self, one: Rendered, span: Span
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
        head, answer = self._tokenizer.encode_batch(
            [one.text[: span.begin], one.text[span.begin : span.end]], add_special_tokens=False
        )
        return self._joined((head, self._context_weight), (answer, span.weight))

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
