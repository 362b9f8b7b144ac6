"""Reading examples: the forms of a line, and mistakes named with file, line and field."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tinkex.errors import ValidationError
from tinkex.recipes import Completion, Conversation, Document, read_examples
from tinkex.recipes.examples import count_forms

ASKED = {"role": "user", "content": "Hi"}
ANSWERED = {"role": "assistant", "content": "Hello"}


def written(folder: Path, *records: Any) -> Path:
    file = folder / "data.jsonl"
    lines = [one if isinstance(one, str) else json.dumps(one) for one in records]
    file.write_text("\n".join(lines), encoding="utf-8")
    return file


def test_three_forms_may_be_mixed(tmp_path: Path) -> None:
    """Lines keep their numbers, blank lines count nothing, other fields are counted and ignored."""
    file = written(
        tmp_path,
        {"messages": [{"role": "system", "content": "Be brief."}, ASKED, ANSWERED], "id": 7},
        "  ",
        {"prompt": "2+2=", "completion": "4", "id": 8},
        {"text": "Once upon a time", "source": "tales"},
    )
    read = read_examples(file)
    first, second, third = read.examples
    assert isinstance(first, Conversation)
    assert [message["role"] for message in first.messages] == ["system", "user", "assistant"]
    assert first.weights == [0.0, 0.0, 1.0]
    assert second == Completion(3, "2+2=", "4")
    assert third == Document(4, "Once upon a time")
    assert read.ignored == {"id": 2, "source": 1}
    assert count_forms(read.examples) == {"conversation": 1, "completion": 1, "document": 1}


def test_a_file_may_come_from_windows(tmp_path: Path) -> None:
    """A byte order mark and carriage returns are no part of a line."""
    file = tmp_path / "data.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"text": "a b"}\r\n{"text": "c\xe2\x80\xa8d"}\r\n')
    assert [one.text for one in read_examples(file).examples] == ["a b", "c\u2028d"]


def test_messages_say_how_much_they_count(tmp_path: Path) -> None:
    """An answer with weight 0 is only context; the weight is not shown to the template."""
    messages = [ASKED, {**ANSWERED, "weight": 0}, ASKED, {**ANSWERED, "weight": 0.5}]
    (one,) = read_examples(written(tmp_path, {"messages": messages})).examples
    assert one.weights == [0.0, 0.0, 0.0, 0.5]
    assert all("weight" not in message for message in one.messages)


def test_contents_in_parts_are_joined_and_calls_need_no_content(tmp_path: Path) -> None:
    """What other APIs write is read: lists of text parts, and calls of tools without a text."""
    call = {"type": "function", "function": {"name": "now", "arguments": "{}"}}
    parts = [{"type": "text", "text": "What "}, {"type": "text", "text": "time?"}]
    messages = [
        {"role": "user", "content": parts},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "content": "noon"},
        ANSWERED,
    ]
    record = {"messages": messages, "tools": [call]}
    (one,) = read_examples(written(tmp_path, record)).examples
    assert [message["content"] for message in one.messages] == ["What time?", "", "noon", "Hello"]
    assert one.messages[1]["tool_calls"] == [call]
    assert one.tools == [call]


MISTAKES = [
    ('{"text": ', "no JSON: Expecting value at column 10"),
    ("[1]", "is a JSON list, and must be an object"),
    ({"question": "?", "answer": "!"}, "has neither messages, nor prompt and completion"),
    ({"prompt": "a"}, "completion: is missing"),
    ({"completion": "a"}, "prompt: is missing"),
    ({"prompt": "a", "completion": ""}, "completion: is empty"),
    ({"prompt": 1, "completion": "b"}, "prompt: must be a text, not number"),
    ({"prompt": "a", "completion": None}, "completion: must be a text, not null"),
    ({"text": "a", "messages": []}, "has messages and text, which are different forms"),
    ({"text": True}, "text: must be a text, not true or false"),
    ('{"text": "\\ud83d"}', "text: holds half of a surrogate pair at position 0"),
    ({"messages": {}}, "messages: must be a list of messages, not an object"),
    ({"messages": []}, "messages: must be a list of at least one message"),
    ({"messages": [ASKED]}, "messages: no message has the role assistant"),
    ({"messages": [ASKED, {**ANSWERED, "weight": 0}]}, "has weight 0: nothing to learn"),
    ({"messages": ["Hi"]}, "messages[0]: must be an object, not a string"),
    ({"messages": [{"content": "Hi"}]}, "messages[0].role: must be one of system, developer, user"),
    ({"messages": [{"role": "bot", "content": "Hi"}]}, "assistant, tool, not 'bot'"),
    ({"messages": [ASKED, {"role": "assistant"}]}, "messages[1].content: must be a text, not null"),
    ({"messages": [ASKED, {**ANSWERED, "weight": -1}]}, "messages[1].weight: must be a number"),
    ({"messages": [{**ASKED, "weight": 1}, ANSWERED]}, "messages[0].weight: must be 0 or left out"),
    (
        {"messages": [{"role": "user", "content": [{"type": "image"}]}, ANSWERED]},
        "messages[0].content[0]: must be",
    ),
    ({"messages": [ASKED, ANSWERED], "tools": ["now"]}, "tools: must be a list of objects"),
    ("[" * 100_000, "no JSON that can be read"),
]


@pytest.mark.parametrize(("record", "said"), MISTAKES, ids=[said for _, said in MISTAKES])
def test_a_mistake_is_named_with_file_line_and_field(
    tmp_path: Path, record: Any, said: str
) -> None:
    """Who reads the error can go to the place and mend it."""
    file = written(tmp_path, {"text": "fine"}, record)
    with pytest.raises(ValidationError) as caught:
        read_examples(file)
    message = str(caught.value)
    assert message.startswith(f"{file}:2: ")
    assert said in message


def test_bytes_that_are_no_text_are_named(tmp_path: Path) -> None:
    """A file in another encoding is refused at its first such line."""
    file = tmp_path / "data.jsonl"
    file.write_bytes(b'{"text": "ok"}\n{"text": "na\xefve"}\n')
    with pytest.raises(ValidationError, match=r"data.jsonl:2: byte 13 is not UTF-8"):
        read_examples(file)


def test_equal_mistakes_are_one(tmp_path: Path) -> None:
    """One pass shows what is wrong; a file with a mistake in each line does not fill the screen."""
    roles = [{"messages": [ASKED] * count + [{"role": "bot"}]} for count in (1, 2, 3)]
    file = written(tmp_path, *[{"prompt": "a"}] * 8, {"text": "fine"}, *roles, {"prompt": "b"})
    with pytest.raises(ValidationError) as caught:
        read_examples(file)
    first, second = str(caught.value).splitlines()
    assert first == f"{file}: lines 1 to 8 and 13: completion: is missing"
    assert second.startswith(f"{file}: lines 10 to 12: messages[1].role: must be one of")


def test_ten_different_mistakes_are_shown_at_once(tmp_path: Path) -> None:
    """The rest is counted."""
    file = written(tmp_path, *[{f"field {number}": "a"} for number in range(25)])
    with pytest.raises(ValidationError) as caught:
        read_examples(file)
    lines = str(caught.value).splitlines()
    assert len(lines) == 11
    assert lines[9].startswith(f"{file}:10: ")
    assert lines[10] == "... and 15 more lines with other mistakes"


@pytest.mark.parametrize("content", ["", "\n \n"])
def test_an_empty_file_is_refused(tmp_path: Path, content: str) -> None:
    """It says what a line looks like."""
    file = tmp_path / "data.jsonl"
    file.write_text(content)
    with pytest.raises(ValidationError, match="holds no example; write one JSON object a line"):
        read_examples(file)


def test_equal_bytes_have_an_equal_digest(tmp_path: Path) -> None:
    """A run that is resumed can tell whether its file is still the same."""
    first = read_examples(written(tmp_path, {"text": "a b"})).sha256
    assert read_examples(written(tmp_path, {"text": "a b"})).sha256 == first
    assert read_examples(written(tmp_path, {"text": "a c"})).sha256 != first
