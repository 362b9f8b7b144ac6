"""What the training examples share: questions and answers as tokens, from a JSONL file or by hand."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tinkex import Datum, ModelInput, SampleResponse, SamplingClient, SamplingParams, Tokenizer
from tinkex.losses import completion_datum

TICKETS = Path(__file__).resolve().parent / "data" / "tickets.jsonl"


@dataclass(frozen=True)
class Exchange:
    """A question, and the answer that is wanted."""

    question: str
    answer: str


def read_exchanges(path: Path) -> list[Exchange]:
    """Read lines of the form {"messages": [{"role": "user", ...}, {"role": "assistant", ...}]}."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        sys.exit(f"error: cannot read {path}: {error}")
    exchanges = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            asked, answered = json.loads(line)["messages"]
            if (asked["role"], answered["role"]) != ("user", "assistant"):
                raise ValueError("the roles are not user, assistant")
            exchanges.append(Exchange(str(asked["content"]), str(answered["content"])))
        except (ValueError, KeyError, TypeError) as error:
            sys.exit(
                f"error: {path}, line {number}: {error!r}; a line has to look like "
                '{"messages": [{"role": "user", "content": "..."}, '
                '{"role": "assistant", "content": "..."}]}'
            )
    return exchanges


class Format:
    """The token format of questions and answers: ChatML if the model knows it, else plain text.

    A program for one family of models would use its own template, with
    `tokenizer.apply_chat_template`.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.tokenizer = tokenizer
        chat = tokenizer.token_to_id("<|im_start|>") is not None
        self._question = (
            "<|im_start|>user\n{}<|im_end|>\n<|im_start|>assistant\n" if chat else "Q: {}\nA:"
        )
        self._answer = "{}<|im_end|>" if chat else " {}\n"
        self.stop = ["<|im_end|>"] if chat else ["\n"]

    def question(self, text: str) -> list[int]:
        """Return the tokens up to where the answer begins."""
        return self.tokenizer.encode(self._question.format(text))

    def answer(self, text: str) -> list[int]:
        """Return the tokens of an answer, with the one that ends it."""
        return self.tokenizer.encode(self._answer.format(text), add_special_tokens=False)

    def datum(self, exchange: Exchange) -> Datum:
        """Return an example whose loss counts the answer's tokens alone."""
        return completion_datum(self.question(exchange.question), self.answer(exchange.answer))

    def text(self, tokens: Sequence[int]) -> str:
        """Return an answer's text, without the token that ends it."""
        return self.tokenizer.decode(list(tokens), skip_special_tokens=True).strip()

    def ask(
        self, sampler: SamplingClient, question: str, samples: int = 1, **params: Any
    ) -> Future[SampleResponse]:
        """Start sampling responses; by default one, greedily."""
        chosen: dict[str, Any] = {"max_tokens": 24, "temperature": 0.0, "stop": self.stop}
        prompt = ModelInput.from_ints(self.question(question))
        return sampler.sample(prompt, samples, SamplingParams(**{**chosen, **params}))

    def answers(self, sampler: SamplingClient, questions: Sequence[str]) -> list[str]:
        """Return the likeliest answer to each question."""
        futures = [self.ask(sampler, question) for question in questions]
        return [self.text(future.result().sequences[0].tokens) for future in futures]


def share_right(answers: Sequence[str], exchanges: Sequence[Exchange]) -> float:
    """Return which share of the answers are exactly those wanted."""
    pairs = zip(answers, exchanges, strict=True)
    return sum(said == one.answer for said, one in pairs) / max(1, len(exchanges))


def batches(items: Sequence[Any], size: int, count: int) -> list[list[Any]]:
    """Return that many batches, starting over at the end of the items."""
    return [[items[(b * size + i) % len(items)] for i in range(size)] for b in range(count)]
