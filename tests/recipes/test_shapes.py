"""The shapes that data sets have, as examples."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tinkex.errors import ValidationError
from tinkex.recipes import Completion, Conversation, Document, Example, ExampleFile, read_examples

ASKED = {"role": "user", "content": "a"}
ANSWERED = {"role": "assistant", "content": "b"}
TOLD = {"role": "system", "content": "s"}


def read(record: dict[str, Any], **options: Any) -> tuple[Example, ExampleFile]:
    file = read_examples([record], **options)
    (one,) = file.examples
    return one, file


def said(record: dict[str, Any], **options: Any) -> list[tuple[str, str, float]]:
    one, _ = read(record, **options)
    assert isinstance(one, Conversation)
    return [
        (message["role"], message["content"], weight)
        for message, weight in zip(one.messages, one.weights, strict=True)
    ]


A_B = [("user", "a", 0.0), ("assistant", "b", 1.0)]


@pytest.mark.parametrize(
    ("record", "wanted"),
    [
        ({"messages": [ASKED, ANSWERED]}, A_B),
        ({"messages": json.dumps([ASKED, ANSWERED])}, A_B),
        ({"conversations": [ASKED, ANSWERED]}, A_B),
        ({"conversation": [{"from": "user", "value": "a"}, {"from": "model", "value": "b"}]}, A_B),
        ({"system": "s", "conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]}, [("system", "s", 0.0), *A_B]),
        ({"instruction": "a", "output": "b"}, A_B),
        ({"instruction": "a", "input": "x", "output": "b"}, [("user", "a\n\nx", 0.0), A_B[1]]),
        ({"instruction": "", "input": "a", "output": "b"}, A_B),
        ({"input": "a", "output": "b"}, A_B),
        ({"instruction": "a", "input": None, "output": "b", "system": "s"}, [("system", "s", 0.0), *A_B]),
        ({"instruction": "a", "output": "b", "history": [["c", "d"]]}, [("user", "c", 0.0), ("assistant", "d", 1.0), *A_B]),
        ({"instruction": "a", "output": "b", "text": "### a\n### b"}, A_B),
        ({"prompt": "a", "prompt_id": "1", "messages": [ASKED, ANSWERED]}, A_B),
        ({"prompt": None, "messages": [ASKED, ANSWERED]}, A_B),
        ({"prompt": [TOLD, ASKED], "completion": [ANSWERED]}, [("system", "s", 0.0), *A_B]),
        ({"prompt": [ASKED, ANSWERED, ASKED], "completion": [ANSWERED]}, [A_B[0], ("assistant", "b", 0.0), *A_B]),
        ({"prompt": [ASKED], "completion": "b"}, A_B),
        ({"prompt": "a", "chosen": [ASKED, ANSWERED], "rejected": [ASKED, TOLD]}, A_B),
        ({"prompt": [ASKED], "chosen": [ANSWERED], "rejected": [ANSWERED]}, A_B),
        ({"prompt": "a", "chosen": [ANSWERED], "rejected": [ANSWERED]}, A_B),
        ({"chosen": [ASKED, ANSWERED], "rejected": [ASKED, {**ANSWERED, "content": "c"}]}, A_B),
        ({"chosen": [ASKED, ANSWERED, ASKED, ANSWERED], "rejected": None}, [A_B[0], ("assistant", "b", 0.0), *A_B]),
        ({"prompt": "a", "chosen": [ASKED, ANSWERED], "rejected": [], "messages": [ASKED, ANSWERED]}, A_B),
    ],
)  # fmt: skip
def test_a_shape_is_a_conversation(record: dict[str, Any], wanted: list[Any]) -> None:
    """With what is learned: of prompts and of what two answers share, nothing."""
    assert said(record) == wanted


def test_texts_are_completions_and_documents() -> None:
    """As they stand there."""
    assert read({"prompt": "a", "completion": "b"})[0] == Completion(1, "a", "b")
    assert read({"text": "a"})[0] == Document(1, "a")
    one, file = read({"prompt": "a", "chosen": "b", "rejected": "c"})
    assert one == Completion(1, "a", "b")
    assert file.ignored == {"rejected": 1}
    assert file.notices == [
        "preference pairs (1): the chosen answers are learned, and the rejected ones are left out"
    ]
    _, file = read({"prompt": "a", "completion": "b", "system": "s", "tools": [{"name": "f"}]})
    assert file.ignored == {"system": 1, "tools": 1}
    one, file = read(
        {"prompt": [ASKED], "completion": "b", "system": "s", "tools": [{"name": "f"}]}
    )
    assert isinstance(one, Conversation)
    assert (len(one.messages), one.tools, file.ignored) == (
        3,
        [{"type": "function", "function": {"name": "f"}}],
        {},
    )


@pytest.mark.parametrize(
    ("columns", "record", "wanted"),
    [
        ({"prompt": "q", "completion": "r"}, {"q": "a", "r": "b", "text": "t"}, Completion(1, "a", "b")),
        ({"text": "body"}, {"body": "a", "messages": 3}, Document(1, "a")),
        ({"user": "q", "assistant": "r"}, {"q": "a", "r": "b"}, A_B),
        ({"user": "q", "assistant": "r", "system": "s"}, {"q": "a", "r": "b", "s": "s"}, [("system", "s", 0.0), *A_B]),
        ({"messages": "chat"}, {"chat": [ASKED, ANSWERED]}, A_B),
    ],
)  # fmt: skip
def test_columns_can_be_named(columns: dict[str, str], record: dict[str, Any], wanted: Any) -> None:
    """The others are counted."""
    one, file = read(record, columns=columns)
    found = said(record, columns=columns) if isinstance(one, Conversation) else one
    assert found == wanted
    assert file.ignored == dict.fromkeys(set(record) - set(columns.values()), 1)
    assert file.columns == columns


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"question": "q"}, "columns: must be among prompt, completion, text"),
        ({"prompt": "q"}, "columns: also need a column for completion"),
        ({"prompt": "q", "text": "t"}, "columns: must name one of: prompt and completion; text"),
        ({"text": "t", "system": "s"}, "columns: system goes with user and assistant"),
        ({"system": "s"}, "columns: must name one of"),
        ({"text": "missing"}, "missing: is missing; the row has q, r"),
    ],
)
def test_columns_that_cannot_be_right_are_refused(columns: dict[str, str], said: str) -> None:
    """Before anything is read, or at each line that lacks one."""
    with pytest.raises(ValidationError) as caught:
        read_examples([{"q": "a", "r": "b"}], columns=columns)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    ("record", "said"),
    [
        ({"conversations": [{"from": "narrator", "value": "a"}]}, "conversations[0].from: must be one of human, user"),
        ({"conversations": [{"from": "human"}]}, "conversations[0].value: is missing"),
        ({"instruction": "a"}, "output: is missing"),
        ({"instruction": "", "input": "", "output": "b"}, "instruction: is empty, and so is input"),
        ({"instruction": "a", "output": " "}, "output: is white space only: nothing to learn"),
        ({"instruction": "a", "output": "b", "history": ["c"]}, "history[0]: must be a question and its answer"),
        ({"prompt": "x", "messages": [ASKED, ANSWERED]}, "has messages and prompt, which are different forms"),
        ({"prompt": "a", "completion": "b", "messages": [ASKED]}, "which are different forms"),
        ({"prompt": "a", "completion": " \n"}, "completion: is white space only"),
        ({"system": "s", "messages": [TOLD, ASKED, ANSWERED]}, "system: is given, and so is a message with that role"),
        ({"messages": [ASKED, {**ANSWERED, "refusal": "no"}]}, "messages[1].refusal: is given, and so is content"),
        ({"messages": [ASKED, {**ANSWERED, "tool_calls": [{"name": "f"}], "function_call": {"name": "f"}}]}, "messages[1].function_call: is given, and so is tool_calls"),
        ({"messages": [ASKED, {"role": "assistant", "tool_calls": [{"arguments": {}}]}]}, "messages[1].tool_calls[0].name: must be the name of a function"),
        ({"messages": [ASKED, {"role": "assistant", "tool_calls": [{"name": "f", "arguments": "[1]"}]}]}, "arguments: must be a JSON object, not a list"),
        ({"messages": [ASKED, {"role": "assistant", "tool_calls": [{"name": "f", "arguments": '{"a":1,"a":2}'}]}]}, "arguments: is a text, and the key 'a' stands twice"),
        ({"messages": [ASKED, {"role": "assistant", "content": [{"type": "text", "text": "b"}, {"type": "thinking", "thinking": "c"}]}]}, "messages[1].content[1]: thinks after the text"),
        ({"messages": [ASKED, ANSWERED], "tools": "{"}, "tools: is a text, and no JSON"),
        ({"messages": '[{"role": '}, "messages: is a text, and no JSON"),
        ({"messages": [ASKED, ANSWERED], "tools": [{"name": "f"}], "functions": [{"name": "f"}]}, "functions: is given, and so is tools"),
        ({"messages": [ASKED, ANSWERED], "system": {"a": 1}}, "system: must be a text, not object"),
        ({"prompt": 3, "chosen": [ANSWERED]}, "prompt: must be a list of messages, not a number"),
        ({"messages": [ASKED, {"role": "assistant", "content": ""}]}, "messages[1].content: is empty: nothing to learn"),
        ({"messages": [{"role": "user"}, ANSWERED]}, "messages[0].content: must be a text, not null"),
    ],
)  # fmt: skip
def test_what_a_shape_cannot_be_is_named(record: dict[str, Any], said: str) -> None:
    """By its field."""
    with pytest.raises(ValidationError) as caught:
        read_examples([record])
    assert str(caught.value).startswith("the examples: item 1: ")
    assert said in str(caught.value)
