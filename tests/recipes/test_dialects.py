"""Examples in every dialect of chat templates: what is learned, or why it cannot be."""

from __future__ import annotations

import re
from typing import Any

import pytest
from support.chat_dialects import DIALECTS, dialect_tokenizer

from tinkex import Tokenizer
from tinkex.cli.preview import marked
from tinkex.errors import ValidationError
from tinkex.recipes import chat_format, read_examples, tokenize
from tinkex.recipes.tokenizing import Tokenized
from tinkex.tokenizer.chat import ChatTemplate

HI = [{"role": "user", "content": "a"}]
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
}
TOOL = {"type": "function", "function": {"name": "weather", "parameters": {}}}
RESULT = {"role": "tool", "tool_call_id": "call_1", "content": "5C"}
ANSWER = {"role": "assistant", "content": "It is 5C."}
CALLS = {"role": "assistant", "content": None, "tool_calls": [CALL]}
WRITES_CALLS = {"rich", "file", "items", "raw"}


def tokenized(record: dict[str, Any], dialect: str, **options: Any) -> Tokenized:
    file = read_examples([record])
    return tokenize(file.examples, dialect_tokenizer(dialect), **options)


def learned(record: dict[str, Any], dialect: str, **options: Any) -> str:
    """Return the texts with what is learned in brackets, or the message."""
    try:
        found = tokenized(record, dialect, **options)
    except ValidationError as error:
        return str(error)
    tokenizer = dialect_tokenizer(dialect)
    return "\n---\n".join(marked(one.spans(tokenizer)) for one in found.examples)


def conversation(*messages: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"messages": [*HI, *messages], **more}


@pytest.mark.parametrize("dialect", sorted(set(DIALECTS) - WRITES_CALLS))
def test_a_call_that_a_template_does_not_write_stops_the_run(dialect: str) -> None:
    """It would teach the model to answer nothing."""
    for message in (CALLS, {**CALLS, "content": ""}):
        said = learned(conversation(message), dialect)
        label = "the plain format" if dialect == "plain" else "the chat template of '"
        assert said.startswith(f"line 1: {label}")
        assert "ignores messages[1].tool_calls[0].function.name" in said
        assert said.endswith("--ignore-fields tool_calls")


@pytest.mark.parametrize("dialect", DIALECTS)
def test_an_answer_that_is_only_its_end_is_refused(dialect: str) -> None:
    """Even where the loss of what it says was accepted."""
    said = learned(conversation(CALLS), dialect, ignore_fields=["tool_calls"])
    if dialect in WRITES_CALLS:
        assert "weather" in said
    else:
        assert "writes nothing of this answer but its end" in said


@pytest.mark.parametrize(
    ("dialect", "call"),
    [
        ("rich", '<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>'),
        ("file", '<tool_call>{"name": "weather", "arguments": {"city": "Oslo"}}</tool_call>'),
        ("items", "<tool_call><function=weather><parameter=city>Oslo</parameter></function></tool_call>"),
        ("raw", '[call_1|weather|{"city": "Oslo"}]'),
    ],
)  # fmt: skip
@pytest.mark.parametrize(
    "arguments", ['{"city": "Oslo"}', {"city": "Oslo"}], ids=["text", "object"]
)
def test_arguments_are_what_the_template_wants(dialect: str, call: str, arguments: Any) -> None:
    """A text of JSON or an object, whichever was given: never a quoted text, never Python's print."""
    given = {**CALL, "function": {"name": "weather", "arguments": arguments}}
    turn = {**CALLS, "tool_calls": [given]}
    assert learned(conversation(turn, RESULT, ANSWER), dialect) == (
        "<|im_start|>user\na<|im_end|>\n"
        f"<|im_start|>assistant\n⟦{call}<|im_end|>⟧\n"
        "<|im_start|>tool\n5C<|im_end|>\n"
        "<|im_start|>assistant\n⟦It is 5C.<|im_end|>⟧\n"
    )


@pytest.mark.parametrize(
    "turn",
    [
        {"role": "assistant", "content": None, "function_call": CALL["function"]},
        {"role": "assistant", "content": "", "tool_calls": [CALL["function"]]},
        {"role": "assistant", "tool_calls": [{"name": "weather", "arguments": {"city": "Oslo"}}]},
        {"from": "function_call", "value": '{"name": "weather", "arguments": {"city": "Oslo"}}'},
    ],
    ids=["function_call", "flat text", "flat object", "sharegpt"],
)
def test_calls_of_other_apis_are_calls(turn: dict[str, Any]) -> None:
    """What is written is the same."""
    wanted = learned(conversation(CALLS), "rich")
    assert '"arguments": {"city": "Oslo"}' in wanted
    assert learned(conversation(turn), "rich") == wanted


def test_tools_are_written_or_stop_the_run() -> None:
    """As a list, as a text of one, flat, or as `functions`."""
    flat = {"name": "weather", "parameters": {}}
    for more in (
        {"tools": [TOOL]},
        {"tools": f"[{TOOL}]".replace("'", '"')},
        {"functions": [flat]},
    ):
        said = learned(conversation(ANSWER, **more), "rich")
        assert said.startswith(
            '<|im_start|>system\nTools: {"type": "function", "function": {"name": "weather", "parameters": {}}}'
        ), more
        assert "ignores tools[0].function.name" in learned(conversation(ANSWER, **more), "marked")
    assert learned(conversation(ANSWER, tools="[]"), "marked").endswith("⟦It is 5C.<|im_end|>⟧")
    named = learned(conversation(CALLS, RESULT, ANSWER, tools=[TOOL]), "named")
    assert named == learned(conversation(CALLS, RESULT, ANSWER, tools=[TOOL]), "rich")


@pytest.mark.parametrize("dialect", DIALECTS)
@pytest.mark.parametrize(
    "turn",
    [
        {"role": "assistant", "content": "4", "reasoning_content": "two and two"},
        {"role": "assistant", "content": "4", "thinking": "two and two"},
        {"role": "assistant", "content": [{"type": "thinking", "thinking": "two and two"}, {"type": "text", "text": "4"}]},
    ],
    ids=["reasoning_content", "thinking", "parts"],
)  # fmt: skip
def test_thoughts_are_learned_or_stop_the_run(dialect: str, turn: dict[str, Any]) -> None:
    """Under the name that the template has for them."""
    said = learned(conversation(turn), dialect)
    wanted = {
        "rich": "⟦<think>two and two</think>\n4<|im_end|>⟧",
        "file": "⟦<think>two and two</think>\n4<|im_end|>⟧",
        "forgetful": "⟦<think>\ntwo and two\n</think>\n\n4<|im_end|>⟧",
        "thinking": "⟦(two and two) 4<|im_end|>⟧",
    }
    if dialect in wanted:
        assert wanted[dialect] in said
    else:
        assert said.endswith("--ignore-fields reasoning_content")
        accepted = learned(conversation(turn), dialect, ignore_fields=["reasoning_content"])
        assert "4<|im_end|>⟧" in accepted or dialect == "no end"


def test_what_a_template_ignores_is_named_with_its_lines() -> None:
    """One sentence for all of them; accepted, it is counted."""
    records = [conversation({**ANSWER, "train": False}) for _ in range(3)]
    records.insert(1, conversation({**ANSWER, "name": "Bob"}))
    file = read_examples(records)
    tokenizer = dialect_tokenizer("rich")
    with pytest.raises(ValidationError) as caught:
        tokenize(file.examples, tokenizer, name="a.jsonl")
    first, second = str(caught.value).splitlines()
    assert first.startswith("a.jsonl: lines 1, 3 and 4: the chat template of ")
    assert "ignores messages[1].train, so it would not be trained" in first
    assert second.startswith("a.jsonl:2: ")
    accepted = tokenize(file.examples, tokenizer, ignore_fields=["train", "name"])
    assert accepted.ignored == {"train": 3, "name": 1}


def test_ids_that_tie_a_call_to_its_result_are_counted() -> None:
    """Most templates go by the order; where one writes them, nothing is missing."""
    record = conversation(CALLS, RESULT, ANSWER)
    assert tokenized(record, "rich").ignored == {"id": 1, "tool_call_id": 1}
    assert tokenized(record, "raw").ignored == {"tool_call_id": 1}


def test_a_part_that_a_template_drops_stops_the_run() -> None:
    """Some templates cut what stands before the end of a thought."""
    tokenizer = with_template(
        "cutting",
        "{% for m in messages %}{{ m.role }}:{{ m.content.split('</think>')[-1] }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}assistant:{% endif %}",
    )
    file = read_examples([conversation({"role": "assistant", "content": "<think>hm</think>4"})])
    with pytest.raises(
        ValidationError, match="writes only a part of the content of messages with the role"
    ):
        tokenize(file.examples, tokenizer)


def test_a_developer_is_the_system_where_a_template_knows_no_other() -> None:
    """Where it knows the role, it is written as it is."""
    record = {"messages": [{"role": "developer", "content": "be brief"}, *HI, ANSWER]}
    assert learned(record, "forgetful").startswith("<|im_start|>system\nbe brief<|im_end|>\n")
    assert learned(record, "thinking").startswith("<|im_start|>system\nbe brief<|im_end|>\n")
    assert learned(record, "rich").startswith("<|im_start|>developer\nbe brief<|im_end|>\n")
    assert "System role not supported" in learned(
        {"messages": [{"role": "system", "content": "x"}, *HI, ANSWER]}, "strict"
    )


@pytest.mark.parametrize(
    ("dialect", "said"),
    [
        ("rich", "<|im_start|>assistant\n⟦Hi!<|im_end|>⟧\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦b<|im_end|>⟧\n"),
        ("begun", "<|endoftext|><|im_start|>assistant\n⟦Hi!<|im_end|>⟧<|im_start|>user\na<|im_end|><|im_start|>assistant\n⟦b<|im_end|>⟧"),
        ("plain", "<|endoftext|>Assistant:⟦ Hi!<|im_end|>⟧\n\nUser: a\n\nAssistant:⟦ b<|im_end|>⟧"),
        ("forgetful", "<|im_start|>assistant\n⟦Hi!<|im_end|>⟧\n<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦<think>\n\n</think>\n\nb<|im_end|>⟧\n"),
        ("default system", "<|im_start|>system\nYou are helpful.<|im_end|>\n<|im_start|>assistant\n⟦Hi!<|im_end|>⟧<|im_start|>user\na<|im_end|>\n<|im_start|>assistant\n⟦b<|im_end|>⟧"),
        ("no end", "### assistant:\n⟦Hi!\n⟧### user:\na\n### assistant:\n⟦b\n⟧"),
        ("strict", "line 1: the chat template of "),
    ],
)  # fmt: skip
def test_the_assistant_may_begin(dialect: str, said: str) -> None:
    """Also where a template needs a message to ask for an answer; one that refuses it is named."""
    messages = [{"role": "assistant", "content": "Hi!"}, *HI, {"role": "assistant", "content": "b"}]
    found = learned({"messages": messages}, dialect)
    if dialect == "strict":
        assert found.startswith(said)
        assert found.endswith("TemplateError: roles must alternate")
    else:
        assert found == said


def test_two_answers_in_a_row_are_two_answers() -> None:
    """Each has its end."""
    record = conversation(*({"role": "assistant", "content": text} for text in "bc"))
    assert learned(record, "rich").endswith(
        "assistant\n⟦b<|im_end|>⟧\n<|im_start|>assistant\n⟦c<|im_end|>⟧\n"
    )
    assert "roles must alternate" in learned(record, "strict")


def test_thoughts_of_earlier_turns_are_what_the_model_will_have_read() -> None:
    """Of a template that drops them as the conversation grows, each answer has its own context."""
    turns = [
        {"role": "user", "content": "a"},
        {"role": "assistant", "content": "b", "reasoning_content": "r1"},
        {"role": "user", "content": "c"},
        {"role": "assistant", "content": "d", "reasoning_content": "r2"},
    ]
    said = learned({"messages": turns}, "forgetful")
    assert said.count("⟦<think>\nr1\n</think>\n\nb<|im_end|>⟧") == 1
    assert said.count("⟦<think>\nr2\n</think>\n\nd<|im_end|>⟧") == 1
    tokenizer = dialect_tokenizer("forgetful")
    asked = tokenizer.apply_chat_template(turns[:3], add_generation_prompt=True)
    (one,) = tokenized({"messages": turns}, "forgetful").examples
    assert one.tokens[: len(asked)].tolist() == asked
    tools = [
        turns[0],
        turns[1],
        {"role": "tool", "content": "5"},
        {"role": "assistant", "content": "d"},
    ]
    assert (
        "⟦<think>\nr1\n</think>\n\nb<|im_end|>⟧\n<|im_start|>user\n<tool_response>\n5\n"
        in learned({"messages": tools}, "forgetful")
    )


@pytest.mark.parametrize("dialect", DIALECTS)
def test_what_follows_the_last_answer_is_read_or_counted(dialect: str) -> None:
    """It stands in the text, or a notice says that it does not."""
    record = conversation(
        {"role": "assistant", "content": "b"}, {"role": "user", "content": "last"}
    )
    found = tokenized(record, dialect)
    text = dialect_tokenizer(dialect).decode(found.examples[-1].tokens)
    assert "last" in text or any("after the last answer" in one for one in found.notices)
    everything = learned(record, dialect, loss_on="all")
    assert re.search(r"⟦[^⟧]*last", everything)


def test_control_tokens_are_taken_once_and_said_once() -> None:
    """An end that an answer brings along is one end; others that stand in it are named."""
    twice = conversation({"role": "assistant", "content": "b<|im_end|>"})
    plain = conversation({"role": "assistant", "content": "b"})
    for dialect in ("rich", "plain"):
        found = tokenized(twice, dialect)
        assert learned(twice, dialect) == learned(plain, dialect)
        assert [one for one in found.notices if "taken once (line 1)" in one]
    within = conversation({"role": "assistant", "content": "ok <|im_start|> fine"})
    assert learned(within, "rich").endswith("⟦ok <|im_start|> fine<|im_end|>⟧\n")
    assert tokenized(within, "rich").notices == [
        "<|im_start|> stands in what is said, and is read as the control token that it is (line 1)"
    ]


def test_ends_and_beginnings_of_texts_are_taken_once() -> None:
    """Of completions and documents too; a tokenizer's own frame adds no second one."""
    completion = {"prompt": "Q:", "completion": " x<|im_end|>"}
    assert learned(completion, "rich") == "Q:⟦ x<|im_end|>⟧"
    assert tokenized(completion, "rich").notices == [
        "<|im_end|> stands at the end of the text already, and is taken once (line 1)"
    ]
    assert learned({"prompt": "Q:", "completion": " x<|im_end|><|im_end|>\n"}, "rich") == (
        "Q:⟦ x<|im_end|>⟧"
    )
    rendered = {"text": "<|im_start|>user\nHi<|im_end|>\n"}
    assert learned(rendered, "rich") == "<|im_start|>⟦user\nHi<|im_end|>\n⟧"
    begun = {"text": "<|endoftext|>hello world"}
    for dialect in ("begun", "plain", "rich"):
        assert learned(begun, dialect) == "<|endoftext|>⟦hello world<|im_end|>⟧"
        prompt = {"prompt": "<|endoftext|>Q:", "completion": " A"}
        assert learned(prompt, dialect) == "<|endoftext|>Q:⟦ A<|im_end|>⟧"
    assert tokenized(begun, "begun").notices == [
        "<|endoftext|> stands at the beginning of the text already, and is taken once (line 1)"
    ]


def test_a_model_that_learns_no_end_is_told_of_before_the_run() -> None:
    """Whether its tokenizer names none, or its template writes none."""
    answer = conversation({"role": "assistant", "content": "b"})
    (notice,) = tokenized(answer, "no end").notices
    assert notice.endswith(
        "ends answers with no special token, so the model does not learn where to stop (line 1)"
    )
    endless = Tokenizer(dialect_tokenizer("rich").backend, "endless")
    file = read_examples([{"prompt": "a", "completion": "b"}, {"prompt": "c", "completion": "d"}])
    assert tokenize(file.examples, endless).notices == [
        (
            "the tokenizer 'endless' names no token that ends a text, so the model does not learn where to "
            "stop (lines 1 and 2)"
        )
    ]


@pytest.mark.parametrize("dialect", DIALECTS)
def test_only_an_end_is_nothing_to_learn(dialect: str) -> None:
    """A text that is nothing else, and a completion before which nothing stands."""
    assert "line 1: " in learned({"text": "<|im_end|>"}, dialect)
    said = learned({"prompt": "", "completion": "b"}, dialect)
    if dialect in ("begun", "plain"):
        assert said == "<|endoftext|>⟦b<|im_end|>⟧"
    else:
        assert "only the token that ends the text would be learned" in said
    if dialect == "rich":
        longer = tokenized({"prompt": "", "completion": "4 it is"}, dialect)
        assert "that token is read and not learned (line 1)" in longer.notices[0]


def with_template(name: str, source: str) -> Tokenizer:
    return Tokenizer(
        dialect_tokenizer("rich").backend,
        name,
        marks={"eos_token": "<|im_end|>"},
        chat_template=ChatTemplate(name, {"default": source}),
    )


def test_tokens_that_join_a_prompt_and_its_answer_are_those_of_sampling() -> None:
    """Where the tokenizer joins them, each answer has its own example, begun as sampling begins it."""
    tokenizer = with_template(
        "joining",
        "{% for m in messages %}{{ m.role }}: {{ m.content }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}assistant: {% endif %}",
    )
    answers = [{"role": "assistant", "content": text} for text in ("is it", "it is")]
    (example,) = read_examples([conversation(answers[0], *HI, answers[1])]).examples
    found = tokenize([example], tokenizer)
    texts = [[text for text, _ in one.spans(tokenizer)] for one in found.examples]
    assert texts == [
        ["user: a<|im_end|>assistant: ", "is it<|im_end|>"],
        [
            "user: a<|im_end|>assistant: is it<|im_end|>user: a<|im_end|>assistant: ",
            "it is<|im_end|>",
        ],
    ]
    chat = chat_format(tokenizer)
    for one, before in zip(found.examples, (1, 3), strict=True):
        asked = tokenizer.encode(chat.prompt(example.messages[:before]), add_special_tokens=False)
        assert one.tokens[: len(asked)].tolist() == asked
        whole = tokenizer.encode(
            chat.whole(example.messages[: before + 1]), add_special_tokens=False
        )
        assert one.tokens.tolist() != whole


def test_a_template_that_opens_answers_otherwise_is_told_of() -> None:
    """What the model will have read when it answers is not what it learned after."""
    tokenizer = with_template(
        "opening",
        "{% for m in messages %}{{ m.role }}>{{ m.content }}<|im_end|>{% endfor %}"
        "{% if add_generation_prompt %}assistant><think>{% endif %}",
    )
    found = tokenize(read_examples([conversation(ANSWER)]).examples, tokenizer)
    assert found.notices == [
        (
            "the chat template of 'opening' begins an answer with '<think>' when it asks for one, and the "
            "answers of line 1 do not begin so"
        )
    ]
