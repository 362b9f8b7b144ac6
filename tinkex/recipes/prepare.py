"""From a recipe and a file to what the steps train on."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve, frozen

from tinkex.errors import ValidationError
from tinkex.recipes.batches import Batches, split
from tinkex.recipes.encoding import encode_prompt
from tinkex.recipes.examples import Conversation, Example, ExampleFile, Preference, Prompt
from tinkex.recipes.formats import ChatFormat, chat_format
from tinkex.recipes.recipe import Recipe
from tinkex.recipes.tokenizing import Tokenized, TokenizedExample, tokenize

if TYPE_CHECKING:
    from tinkex.tokenizer import Tokenizer

# What is held out where the recipe does not say: a tenth, as far as a loss becomes more certain by
# it, and nothing of so few lines that each one is missed.
_USUAL_SHARE, _ENOUGH, _FEW = 0.1, 200, 20


@frozen(eq=False)
class Pair:
    """A preference as tokens.

    Attributes:
        line: The line of the file that it came from.
        chosen: The prompt with the preferred response.
        rejected: The prompt with the other one.
    """

    line: int
    chosen: TokenizedExample
    rejected: TokenizedExample

    @property
    def tokens(self) -> Sequence[int]:
        """Return the tokens of both."""
        return [*self.chosen.tokens, *self.rejected.tokens]


@frozen(eq=False)
class TokenizedPrompt:
    """A prompt as tokens.

    Attributes:
        line: The line of the file that it came from.
        prompt: The prompt.
        tokens: What the model reads.
    """

    line: int
    prompt: Prompt
    tokens: Sequence[int]


@frozen(eq=False)
class Prepared:
    """Everything that a run trains on.

    Attributes:
        recipe: How it is trained.
        tokenizer: The model's tokenizer.
        chat: How conversations are written.
        tokenized: All examples, those that are held out too, and the lines that were too long; of
            pairs both responses, of prompts the prompts.
        batches: What each step trains on: a `TokenizedExample`, a `Pair` or a `TokenizedPrompt`
            for each example.
        held_out: The same, for validation.
        steps: How many steps the run has.
        has_conversations: Whether some of the examples are conversations.
        context_length: Most tokens that the model can read; None if that is not known.
        notices: What to know before training, one sentence each.
    """

    recipe: Recipe
    tokenizer: Tokenizer
    chat: ChatFormat
    tokenized: Tokenized
    batches: Batches[Any]
    held_out: Sequence[Any]
    steps: int
    has_conversations: bool
    context_length: int | None = None
    notices: Sequence[str] = ()


def prepare(
    recipe: Recipe,
    file: ExampleFile,
    tokenizer: Tokenizer,
    *,
    held_out_file: ExampleFile | None = None,
    context_length: int | None = None,
) -> Prepared:
    """Turn a file's examples into batches, as a recipe says.

    >>> recipe = Recipe(base_model="Qwen/Qwen3-8B", epochs=3, batch_size=1)
    >>> prepare(recipe, read_examples("orders.jsonl"), tokenizer).steps
    6

    Args:
        recipe: How it is trained.
        file: The examples to train on.
        tokenizer: The model's tokenizer.
        held_out_file: Examples for the validation loss, in place of a share of the others.
        context_length: Most tokens that the model can read, if it is known.

    Raises:
        ValidationError: An example is too long; the chat template refuses a conversation or leaves
            a part of it out; nothing is left to train on; or the examples are held out both ways.
    """
    if held_out_file is not None and recipe.held_out:
        raise ValidationError(
            "give a share of the examples or a file of its own, not both", path="held_out"
        )
    length = min((n for n in (recipe.max_length, context_length) if n), default=None)
    sources = [file] if held_out_file is None else [file, held_out_file]
    has_conversations = any(_is_conversation(one) for source in sources for one in source.examples)
    kind = recipe.chat_format
    if kind == "auto" and not has_conversations:
        kind = "plain"  # No template is needed, nor the extra that it takes.
    chat = chat_format(tokenizer, kind, **recipe.template_variables)

    items, tokenized = _tokens_of(file, recipe, tokenizer, chat, length)
    if not items:
        raise ValidationError(
            f"{file.name}: all {len(file.examples)} examples are longer than {length} tokens, so "
            "nothing is left to train on"
        )
    notices = [*file.notices, *tokenized.notices]
    if held_out_file is None:
        kept, held_out = _split(recipe, items)
    else:
        held_out, others = _tokens_of(held_out_file, recipe, tokenizer, chat, length)
        kept = items
        notices += [f"{held_out_file.name}: {one}" for one in others.notices]
        if not held_out:
            raise ValidationError(
                f"all examples are longer than {length} tokens", path=held_out_file.name
            )
    batches = Batches(kept, recipe.batch_size, recipe.seed)
    return Prepared(
        recipe=recipe,
        tokenizer=tokenizer,
        chat=chat,
        tokenized=tokenized,
        batches=batches,
        held_out=held_out,
        steps=recipe.total_steps(batches.steps_per_epoch),
        has_conversations=has_conversations,
        context_length=context_length,
        notices=notices,
    )


def _is_conversation(one: Example | Preference | Prompt) -> bool:
    if isinstance(one, Preference):
        return isinstance(one.chosen, Conversation)
    return one.messages is not None if isinstance(one, Prompt) else isinstance(one, Conversation)


def _tokens_of(
    file: ExampleFile,
    recipe: Recipe,
    tokenizer: Tokenizer,
    chat: ChatFormat,
    max_length: int | None,
) -> tuple[list[Any], Tokenized]:
    """Return the items of batches, and the tokens of all of them."""

    def tokens_of(examples: Sequence[Example]) -> Tokenized:
        return tokenize(
            examples,
            tokenizer,
            chat,
            loss_on=recipe.loss_on,
            max_length=max_length,
            too_long=recipe.too_long,
            ignore_fields=recipe.ignore_fields,
            name=file.name,
            unit=file.unit,
        )

    if recipe.form == "pairs":
        sides = [tokens_of([getattr(one, side) for one in file.examples]) for side in _SIDES]
        return _pairs(file, *sides), _joined(*sides)
    if recipe.form == "prompts":
        return _prompts(file, recipe, tokenizer, chat, max_length)
    tokenized = tokens_of(file.examples)
    return list(tokenized.examples), tokenized


_SIDES = ("chosen", "rejected")


def _pairs(file: ExampleFile, chosen: Tokenized, rejected: Tokenized) -> list[Pair]:
    """Return the pairs of which neither side was left out."""
    by_line: list[dict[int, list[TokenizedExample]]] = [defaultdict(list), defaultdict(list)]
    for side, found in zip((chosen, rejected), by_line, strict=True):
        for one in side.examples:
            found[one.line].append(one)
    pairs = []
    for line, mine in by_line[0].items():
        others = by_line[1].get(line, [])
        if len(mine) > 1 or len(others) > 1:
            raise ValidationError(
                f"{file.unit} {line}: the chat template writes earlier responses otherwise than new "
                "ones, so a pair of whole conversations cannot be compared; put all but the last "
                "message into prompt",
                path=file.name,
            )
        if others:
            pairs.append(Pair(line, mine[0], others[0]))
    return pairs


def _joined(chosen: Tokenized, rejected: Tokenized) -> Tokenized:
    return evolve(
        chosen,
        examples=[*chosen.examples, *rejected.examples],
        truncated=sorted({*chosen.truncated, *rejected.truncated}),
        skipped=sorted({*chosen.skipped, *rejected.skipped}),
        notices=list(dict.fromkeys([*chosen.notices, *rejected.notices])),
    )


def _prompts(
    file: ExampleFile,
    recipe: Recipe,
    tokenizer: Tokenizer,
    chat: ChatFormat,
    max_length: int | None,
) -> tuple[list[TokenizedPrompt], Tokenized]:
    found: list[TokenizedPrompt] = []
    skipped: list[int] = []
    for prompt in file.examples:
        tokens = prompt_tokens(tokenizer, chat, prompt)
        if max_length is None or len(tokens) < max_length:
            found.append(TokenizedPrompt(prompt.line, prompt, tokens))
        elif recipe.too_long == "skip":
            skipped.append(prompt.line)
        else:
            raise ValidationError(
                f"{file.unit} {prompt.line}: the prompt has {len(tokens):,} tokens, which leaves no room "
                f"for a response among {max_length:,}. Shorten it, or leave such prompts out "
                "(too_long='skip'; on the command line --too-long skip)",
                path=file.name,
            )
    examples = [
        TokenizedExample(
            one.line, np.array(one.tokens, np.int64), np.zeros(len(one.tokens), np.float32)
        )
        for one in found
    ]
    return found, Tokenized(examples, skipped=skipped)


def prompt_tokens(tokenizer: Tokenizer, chat: ChatFormat, prompt: Prompt) -> list[int]:
    """Return what a model reads of a prompt before it responds."""
    if prompt.messages is None:
        return encode_prompt(tokenizer, str(prompt.text))
    return tokenizer.encode(chat.prompt(prompt.messages, prompt.tools), add_special_tokens=False)


def _split(recipe: Recipe, items: Sequence[Any]) -> tuple[list[Any], list[Any]]:
    """Hold whole lines out: what a model saw of a line in training is no test."""
    lines = list(dict.fromkeys(one.line for one in items))
    share = recipe.held_out
    if share is None:
        share = min(_USUAL_SHARE, _ENOUGH / len(lines)) if len(lines) >= _FEW else 0.0
    _, held = split(lines, share, recipe.seed)
    out = set(held)
    kept = [one for one in items if one.line not in out]
    return kept, [one for one in items if one.line in out]
