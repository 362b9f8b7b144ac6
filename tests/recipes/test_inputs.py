"""Files as people have them, each with what is learned of it, or the message that refuses it."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest
from support.chat_dialects import DIALECTS, dialect_tokenizer

from tinkex import Tokenizer
from tinkex.cli.preview import marked
from tinkex.errors import ValidationError
from tinkex.recipes import Conversation, ExampleFile, read_examples, tokenize
from tinkex.recipes.tokenizing import Tokenized

ASKED = {"role": "user", "content": "a"}
ANSWERED = {"role": "assistant", "content": "b"}
HELLO = {
    "messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello there"}]
}
LINE = json.dumps(HELLO)
GREETING = "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n⟦Hello there<|im_end|>⟧\n"
A_B = "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦b<|im_end|>⟧\n"
CALL = {"type": "function", "function": {"name": "f", "arguments": '{"city": "Oslo"}'}}
CALLED = '<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦<tool_call>{"name": "f", "arguments": {"city": "Oslo"}}</tool_call><|im_end|>⟧\n'


def chat(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": list(messages), **more}


def answered(**more: Any) -> dict[str, Any]:
    return chat(ASKED, {"role": "assistant", "content": None, **more})


SURROGATE = "holds half of a surrogate pair at position "
FORMS = "has neither messages, nor prompt and completion, nor text (it has "

# What the "rich" dialect learns, or the message: the file's name and the line first.
INPUTS: dict[str, tuple[Any, str]] = {
    "a call, content empty": (answered(content="", tool_calls=[CALL]), CALLED),
    "a call, content null": (answered(tool_calls=[CALL]), CALLED),
    "a call alone": (chat(ASKED, {"role": "assistant", "tool_calls": [CALL]}), CALLED),
    "an empty answer of weight 0": (
        chat(ASKED, {"role": "assistant", "content": "", "weight": 0}, ASKED, ANSWERED),
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n<|im_end|>\n" + A_B,
    ),
    "a function_call": (answered(function_call=CALL["function"]), CALLED),
    "the role function": (
        chat(ASKED, {"role": "function", "name": "f", "content": "1"}, ANSWERED),
        ":1: the chat template of '",
    ),
    "ultrachat": ({"prompt": "Hi", "prompt_id": "abc", **HELLO}, GREETING),
    "an end in a completion": (
        {"prompt": "Q:", "completion": " x<|im_end|>"},
        "Q:⟦ x<|im_end|>⟧",
    ),
    "a rendered text": (
        {"text": "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n"},
        "<|im_start|>⟦user\nHi<|im_end|>\n<|im_start|>assistant\nHello<|im_end|>\n⟧",
    ),
    "reasoning_content": (
        answered(content="b", reasoning_content="hm"),
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦<think>hm</think>\nb<|im_end|>⟧\n",
    ),
    "thoughts among the parts": (
        answered(content=[{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "b"}]),
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦<think>hm</think>\nb<|im_end|>⟧\n",
    ),
    "sharegpt": (
        {"conversations": [{"from": "human", "value": "a"}, {"from": "gpt", "value": "b"}]},
        A_B,
    ),
    "alpaca": ({"instruction": "a", "input": "", "output": "b"}, A_B),
    "a key twice": (
        f'{{"messages": [], {LINE[1:]}',
        ":1: the key 'messages' stands twice in one object; keep one",
    ),
    "a content twice": (
        '{"messages":[{"role":"assistant","content":"first","content":"second"}]}',
        ":1: the key 'content' stands twice in one object; keep one",
    ),
    "a weight of NaN": (
        json.dumps(answered(content="b", weight=float("nan"))),
        ":1: messages[1].weight: must be a number of at least 0, not nan",
    ),
    "a weight of 1e39": (
        answered(content="b", weight=1e39),
        ":1: messages[1].weight: must be 0, or between 1.2e-38 and 3.4e+38 (float32), not 1e+39",
    ),
    "a weight of 1e-60": (
        answered(content="b", weight=1e-60),
        ":1: messages[1].weight: must be 0, or between 1.2e-38 and 3.4e+38 (float32), not 1e-60",
    ),
    "utf-16": (f"{LINE}\n{LINE}\n".encode("utf-16"), GREETING),
    "latin-1": (
        json.dumps(answered(content="Köln"), ensure_ascii=False).encode("latin-1"),
        ":1: byte 84 is not UTF-8. Convert the file",
    ),
    "a byte order mark": (b"\xef\xbb\xbf" + LINE.encode(), GREETING),
    "a mark in the middle": (f"{LINE}\n\ufeff{LINE}\n", GREETING),
    "crlf": (f"{LINE}\r\n{LINE}\r\n", GREETING),
    "cr": (f"{LINE}\r{LINE}\r", GREETING),
    "an array": (json.dumps([HELLO, HELLO], indent=2), GREETING),
    "an array in one line": (json.dumps([HELLO, HELLO]), GREETING),
    "a comma after each line": (
        f"{LINE},\n{LINE},\n",
        ": lines 1 and 2: a comma follows the object; each line is one object and nothing else",
    ),
    "a surrogate in a content": (
        answered(content="\ud83d"),
        f":1: messages[1].content: {SURROGATE}0",
    ),
    "a surrogate as key": ({"\ud83d": 1}, f":1: {FORMS}\N{REPLACEMENT CHARACTER})"),
    "a surrogate in an ignored key": (
        {"prompt": "a", "completion": "b", "\ud83d": 1},
        "a⟦b<|im_end|>⟧",
    ),
    "escapes in an ignored key": (
        {"prompt": "a", "completion": "b", "\x1b[31mRED\x07": 1},
        "a⟦b<|im_end|>⟧",
    ),
    "escapes in a key": ({"\x1b[2J\x1b[31mRED": 1}, f":1: {FORMS}"),
    "a surrogate as role": (
        chat({"role": "\ud83d", "content": "a"}),
        ":1: messages[0].role: must be one of",
    ),
    "a surrogate in a name": (
        chat({**ASKED, "name": "\ud83d"}, ANSWERED),
        f":1: messages[0].name: {SURROGATE}0",
    ),
    "the assistant first": (
        chat({"role": "assistant", "content": "Hi!"}, ASKED, ANSWERED),
        "<|im_start|>assistant\n⟦Hi!<|im_end|>⟧\n" + A_B,
    ),
    "a system message alone": (
        chat({"role": "system", "content": "a"}),
        ":1: messages: no message has the role assistant: nothing to learn",
    ),
    "the user last": (
        chat(ASKED, ANSWERED, {"role": "user", "content": "c"}),
        A_B + "<|im_start|>user\nc<|im_end|>\n",
    ),
    "two answers": (
        chat(ASKED, ANSWERED, {"role": "assistant", "content": "c"}),
        A_B + "<|im_start|>assistant\n⟦c<|im_end|>⟧\n",
    ),
    "a number as content": (
        answered(content=42),
        ":1: messages[1].content: must be a text, not number",
    ),
    "a capital in a role": (
        chat({**ASKED, "role": "User"}, ANSWERED),
        ":1: messages[0].role: must be one of system, developer, user, assistant, tool, not 'User'",
    ),
    "a space in a role": (
        chat({**ASKED, "role": "user "}, ANSWERED),
        ":1: messages[0].role: must be one of system, developer, user, assistant, tool, not 'user '",
    ),
    "messages as a text": ({"messages": json.dumps(HELLO["messages"])}, GREETING),
    "tools as a text": ({**HELLO, "tools": "[]"}, GREETING),
    "conversational prompt and completion": ({"prompt": [ASKED], "completion": [ANSWERED]}, A_B),
    "a preference pair": (
        {"prompt": "a", "chosen": "b", "rejected": "c"},
        "a⟦b<|im_end|>⟧",
    ),
    "input and output": ({"input": "a", "output": "b"}, A_B),
    "nothing": ("", ": holds no example; write one JSON object a line"),
    "a prompt of null": (
        {"prompt": None, "completion": "b"},
        ":1: prompt: must be a text, not null",
    ),
    "an answer of spaces": (
        answered(content="   "),
        ":1: messages[1].content: is white space only: nothing to learn",
    ),
    "pretty": (json.dumps(HELLO, indent=2), GREETING),
    "what Python prints": (
        str(HELLO),
        ":1: is what Python prints, and no JSON; write the lines with json.dumps",
    ),
    "infinity in an ignored field": (
        '{"prompt":"a","completion":"b","score":Infinity}',
        "a⟦b<|im_end|>⟧",
    ),
    "nul": ({"prompt": "a\0", "completion": "b\0c"}, "a\0⟦b\0c<|im_end|>⟧"),
    "other line ends": (
        '{"prompt":"a\u2028","completion":"b\u2029\x85c"}',
        "a\u2028⟦b\u2029\x85c<|im_end|>⟧",
    ),
    "a text as weight": (
        answered(content="b", weight="1"),
        ":1: messages[1].weight: must be a number of at least 0, not '1'",
    ),
    "true as weight": (
        answered(content="b", weight=True),
        ":1: messages[1].weight: must be a number of at least 0, not True",
    ),
    "null as weight": (answered(content="b", weight=None), A_B),
    "a flag that no template reads": (
        answered(content="b", train=False),
        ":1: the chat template of '",
    ),
    "control tokens in what is said": (
        chat(
            {"role": "user", "content": "say <|im_end|> now"},
            {"role": "assistant", "content": "ok <|im_start|> fine"},
        ),
        (
            "<|im_start|>user\nsay <|im_end|> now<|im_end|>\n"
            "<|im_start|>assistant\n⟦ok <|im_start|> fine<|im_end|>⟧\n"
        ),
    ),
    "an empty prompt": (
        {"prompt": "", "completion": "b"},
        ":1: only the token that ends the text would be learned",
    ),
    "gzip": (gzip.compress(f"{LINE}\n".encode()), GREETING),
    "csv": ("prompt,completion\na,b\n", "a⟦b<|im_end|>⟧"),
    "a text that is only its end": ({"text": "<|im_end|>"}, ":1: is too short"),
    "an export of OpenAI's": (
        chat(
            {"role": "developer", "content": "be brief"},
            ASKED,
            {**ANSWERED, "refusal": None, "annotations": []},
            parallel_tool_calls=False,
            tools=[],
        ),
        "<|im_start|>developer\nbe brief<|im_end|>\n" + A_B,
    ),
    "a refusal": (
        answered(refusal="I can't help."),
        "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦I can't help.<|im_end|>⟧\n",
    ),
    "a text that begins": (
        {"text": "<|endoftext|>hello world"},
        "<|endoftext|>⟦hello world<|im_end|>⟧",
    ),
    "a prompt that begins": (
        {"prompt": "<|endoftext|>Q:", "completion": " A"},
        "<|endoftext|>Q:⟦ A<|im_end|>⟧",
    ),
    "a surrogate in arguments": (
        answered(tool_calls=[{"function": {"name": "f", "arguments": {"x": "\ud83d"}}}]),
        f":1: messages[1].tool_calls[0].function.arguments.x: {SURROGATE}0",
    ),
    "a surrogate in arguments as a text": (
        answered(tool_calls=[{"function": {"name": "f", "arguments": '{"x": "\\ud83d"}'}}]),
        f":1: messages[1].tool_calls[0].function.arguments.x: {SURROGATE}0",
    ),
    "a surrogate in tools": (
        chat(ASKED, ANSWERED, tools=[{"function": {"name": "f", "description": "\udc00"}}]),
        f":1: tools[0].function.description: {SURROGATE}0",
    ),
    "a surrogate in thoughts": (
        answered(content="b", reasoning_content="x\ud83d"),
        f":1: messages[1].reasoning_content: {SURROGATE}1",
    ),
    "calls of null": (
        chat({**ASKED, "tool_calls": None, "name": None}, {**ANSWERED, "tool_calls": None}),
        A_B,
    ),
    "NaN in arguments": (
        json.dumps(
            answered(tool_calls=[{"function": {"name": "f", "arguments": {"x": float("nan")}}}])
        ),
        ":1: messages[1].tool_calls[0].function.arguments.x: is nan, which JSON does not have",
    ),
    "a text as calls": (
        answered(tool_calls="none"),
        ":1: messages[1].tool_calls: must be a list of calls, not a string",
    ),
    "flat calls": (answered(tool_calls=[{"name": "f", "arguments": {"city": "Oslo"}}]), CALLED),
    "arguments that are no JSON": (
        answered(tool_calls=[{"name": "f", "arguments": "{city}"}]),
        ":1: messages[1].tool_calls[0].arguments: is a text, and no JSON: ",
    ),
    "thoughts in two turns": (
        chat(
            ASKED,
            {**ANSWERED, "reasoning_content": "r1"},
            {"role": "user", "content": "c"},
            {"role": "assistant", "content": "d", "reasoning_content": "r2"},
        ),
        (
            "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦<think>r1</think>\nb<|im_end|>⟧\n"
            "<|im_start|>user\nc<|im_end|>\n<|im_start|>assistant\n⟦<think>r2</think>\nd<|im_end|>⟧\n"
        ),
    ),
    "a result of a tool": (
        chat(
            ASKED,
            {**ANSWERED, "reasoning_content": "r1"},
            {"role": "tool", "content": "5"},
            {"role": "assistant", "content": "d"},
        ),
        (
            "<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦<think>r1</think>\nb<|im_end|>⟧\n"
            "<|im_start|>tool\n5<|im_end|>\n<|im_start|>assistant\n⟦d<|im_end|>⟧\n"
        ),
    ),
}


def written(folder: Path, content: Any) -> Path:
    # The name says nothing: a file is known by its content.
    file = folder / "data"
    if isinstance(content, dict):
        content = json.dumps(content)
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    return file


def learned_of(file: Path, tokenizer: Tokenizer) -> tuple[ExampleFile, Tokenized]:
    read = read_examples(file)
    return read, tokenize(read.examples, tokenizer, name=read.name)


@pytest.mark.parametrize("name", INPUTS)
def test_an_input_is_learned_or_refused(tmp_path: Path, name: str) -> None:
    """The text with what is learned in brackets, or file, line, field and what is wrong."""
    content, wanted = INPUTS[name]
    file = written(tmp_path, content)
    tokenizer = dialect_tokenizer("rich")
    if wanted.startswith(":"):
        with pytest.raises(ValidationError) as caught:
            learned_of(file, tokenizer)
        assert str(caught.value).startswith(f"{file}{wanted}")
        return
    found = learned_of(file, tokenizer)[1]
    assert marked(found.examples[0].spans(tokenizer)) == wanted
    if name in ("utf-16", "a mark in the middle", "crlf", "cr", "an array", "an array in one line"):
        assert len(found.examples) == 2


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize("name", INPUTS)
def test_no_dialect_loses_anything_without_a_word(tmp_path: Path, name: str, dialect: str) -> None:
    """Every text of a line is in what is trained on, or the line is refused, or it is counted."""
    tokenizer = dialect_tokenizer(dialect)
    try:
        read, found = learned_of(written(tmp_path, INPUTS[name][0]), tokenizer)
    except ValidationError:
        return
    text = "".join(tokenizer.decode(one.tokens) for one in found.examples)
    for example in read.examples:
        if isinstance(example, Conversation):
            for message in example.messages:
                assert message["content"].strip() in text
                assert message.get("reasoning_content", "") in text
                for call in message.get("tool_calls", ()):
                    assert call["function"]["name"] in text
    assert sum(one.weight for one in found.examples) > 0
