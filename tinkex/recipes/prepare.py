"""From a recipe and a file to what the steps train on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from attrs import frozen

from tinkex.errors import ValidationError
from tinkex.recipes.batches import Batches, split
from tinkex.recipes.examples import Conversation, ExampleFile
from tinkex.recipes.formats import ChatFormat, chat_format
from tinkex.recipes.recipe import Recipe
from tinkex.recipes.tokenizing import Tokenized, TokenizedExample, tokenize

if TYPE_CHECKING:
    from tinkex.tokenizer import Tokenizer

# What is held out where the recipe does not say: a tenth, as far as a loss becomes more certain by
# it, and nothing of so few lines that each one is missed.
_USUAL_SHARE, _ENOUGH, _FEW = 0.1, 200, 20


@frozen(eq=False)
class Prepared:
    """Everything that a run trains on.

    Attributes:
        recipe: How it is trained.
        tokenizer: The model's tokenizer.
        chat: How conversations are written.
        tokenized: All examples, those that are held out too, and the lines that were too long.
        batches: What each step trains on.
        held_out: Examples for the validation loss.
        steps: How many steps the run has.
        has_conversations: Whether some of the examples are conversations.
        context_length: Most tokens that the model can read; None if that is not known.
        notices: What to know before training, one sentence each.
    """

    recipe: Recipe
    tokenizer: Tokenizer
    chat: ChatFormat
    tokenized: Tokenized
    batches: Batches[TokenizedExample]
    held_out: Sequence[TokenizedExample]
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
    has_conversations = any(
        isinstance(one, Conversation) for source in sources for one in source.examples
    )
    kind = recipe.chat_format
    if kind == "auto" and not has_conversations:
        kind = "plain"  # No template is needed, nor the extra that it takes.
    chat = chat_format(tokenizer, kind, **recipe.template_variables)

    tokenized = _tokens_of(file, recipe, tokenizer, chat, length)
    if not tokenized.examples:
        raise ValidationError(
            f"{file.name}: all {len(file.examples)} examples are longer than {length} tokens, so "
            "nothing is left to train on"
        )
    notices = [*file.notices, *tokenized.notices]
    if held_out_file is None:
        kept, held_out = _split(recipe, tokenized)
    else:
        others = _tokens_of(held_out_file, recipe, tokenizer, chat, length)
        kept, held_out = list(tokenized.examples), list(others.examples)
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


def _tokens_of(
    file: ExampleFile,
    recipe: Recipe,
    tokenizer: Tokenizer,
    chat: ChatFormat,
    max_length: int | None,
) -> Tokenized:
    return tokenize(
        file.examples,
        tokenizer,
        chat,
        loss_on=recipe.loss_on,
        max_length=max_length,
        too_long=recipe.too_long,
        ignore_fields=recipe.ignore_fields,
        name=file.name,
        unit=file.unit,
    )


def _split(
    recipe: Recipe, tokenized: Tokenized
) -> tuple[list[TokenizedExample], list[TokenizedExample]]:
    """Hold whole lines out: what a model saw of a line in training is no test."""
    lines = list(dict.fromkeys(one.line for one in tokenized.examples))
    share = recipe.held_out
    if share is None:
        share = min(_USUAL_SHARE, _ENOUGH / len(lines)) if len(lines) >= _FEW else 0.0
    _, held = split(lines, share, recipe.seed)
    out = set(held)
    kept = [one for one in tokenized.examples if one.line not in out]
    return kept, [one for one in tokenized.examples if one.line in out]
