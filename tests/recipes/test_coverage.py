"""Generated conversations: nothing that one says is missing from what is trained, without a word."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from support.chat_dialects import DIALECTS, dialect_tokenizer
from support.conversations import COUNT, conversations

from tinkex.errors import ValidationError
from tinkex.recipes import Conversation, ExampleFile, chat_format, read_examples, tokenize
from tinkex.recipes.tokenizing import Tokenized


def values(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Yield every word of a value, with the field that it stands in."""
    if isinstance(value, str):
        yield from ((name, word) for word in value.replace("x", "x ").split() if word[:1] == "w")
    elif isinstance(value, Mapping):
        for key, one in value.items():
            inner = name in ("tools", "tool_calls") and key != "id"
            yield from values(one, name if inner else key)
    elif isinstance(value, list | tuple):
        for one in value:
            yield from values(one, name)


def rendered(record: dict[str, Any], dialect: str) -> tuple[ExampleFile, Tokenized] | None:
    try:
        file = read_examples([record])
        return file, tokenize(file.examples, dialect_tokenizer(dialect))
    except ValidationError:
        return None


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=COUNT, suppress_health_check=list(HealthCheck))
@given(record=conversations())
def test_every_word_is_trained_on_or_counted_or_the_line_is_refused(
    dialect: str, record: dict[str, Any]
) -> None:
    """Of any conversation, with any template; and what counts are the answers, whole."""
    found = rendered(record, dialect)
    if found is None:
        return
    file, tokenized = found
    (example,) = file.examples
    assert isinstance(example, Conversation)
    tokenizer = dialect_tokenizer(dialect)
    text = "".join(tokenizer.decode(one.tokens) for one in tokenized.examples)
    counted = set(tokenized.ignored)
    trailing = any("after the last answer" in one for one in tokenized.notices)
    last = max(index for index, weight in enumerate(example.weights) if weight)
    for index, message in enumerate(example.messages):
        for field, word in values(message):
            assert f"{word}" in text or field in counted or (trailing and index > last)
    for field, word in values(example.tools or [], "tools"):
        assert word in text, field
    learned = "".join(
        span for one in tokenized.examples for span, weight in one.spans(tokenizer) if weight
    )
    for message, weight in zip(example.messages, example.weights, strict=True):
        for field, word in values(message):
            is_learned = weight > 0 and field not in counted
            assert (word in learned) is is_learned, (field, word)


@pytest.mark.parametrize("dialect", DIALECTS)
@settings(max_examples=COUNT, suppress_health_check=list(HealthCheck))
@given(record=conversations())
def test_an_answer_is_learned_after_the_tokens_that_sampling_sends(
    dialect: str, record: dict[str, Any]
) -> None:
    """Each once, with its own weight, and after the prompt that asks for it."""
    found = rendered(record, dialect)
    if found is None:
        return
    file, tokenized = found
    (example,) = file.examples
    assert isinstance(example, Conversation)
    tokenizer = dialect_tokenizer(dialect)
    starts = []
    for one in tokenized.examples:
        weights = one.weights.copy()
        weights[0] = 0
        edges = (weights[1:] > 0) & (weights[:-1] == 0)
        starts += [one.tokens[: at + 1].tolist() for at in edges.nonzero()[0]]
    # Other fields and roles are spelled in the template's own way, and ends are taken once.
    plain = all(
        set(one) <= {"role", "content"}
        and one["role"] != "developer"
        and not one["content"].rstrip().endswith("<|im_end|>")
        for one in example.messages
    )
    if not plain:
        return
    asked = []
    chat = chat_format(tokenizer)
    for index, weight in enumerate(example.weights):
        if weight and index:
            prompt = chat.prompt(example.messages[:index], example.tools)
            asked.append(tokenizer.encode(prompt, add_special_tokens=False))
    assert [one for one in asked if one not in starts] == []


@settings(max_examples=COUNT, suppress_health_check=list(HealthCheck))
@given(record=conversations())
def test_a_template_that_writes_everything_refuses_nothing(record: dict[str, Any]) -> None:
    """Only the names of speakers are lost in it, and a conversation needs something to learn."""
    for message in record["messages"]:
        message.pop("name", None)
    try:
        file = read_examples([record])
    except ValidationError as error:
        assert "nothing to learn" in str(error) or "at least one message" in str(error)  # noqa: PT017
        return
    tokenize(file.examples, dialect_tokenizer("rich"))
