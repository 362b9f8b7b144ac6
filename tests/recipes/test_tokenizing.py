"""Examples as tokens with weights, for chat templates of the kinds in use."""

from __future__ import annotations

import pytest
from support.made_tokenizers import byte_level

from tinkex import Tokenizer, get_tokenizer
from tinkex.errors import TokenizerError, ValidationError
from tinkex.recipes import (
    Completion,
    Conversation,
    Document,
    PlainFormat,
    TemplateFormat,
    chat_format,
    tokenize,
)
from tinkex.recipes.formats import end_of_answer
from tinkex.tokenizer.chat import ChatTemplate

TINY = get_tokenizer("tinkex/tiny-chat")

# Writes what was thought in the last answer, and drops it once there is another question.
THINKING = (
    "{% for m in messages %}<|{{ m.role }}|>"
    "{% if m.role == 'assistant' and loop.last %}<think></think>{% endif %}"
    "{{ m.content }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)
# Opens the answer with more when it asks for one.
PREFILLED = (
    "{{ bos_token }}{% for m in messages %}{{ m.role }}>{{ m.content }}"
    "{% if m.role == 'assistant' %}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}assistant><think>{% endif %}"
)
# Writes the whole conversation in another way when it asks for an answer.
CONTRARY = (
    "{% for m in messages %}{{ 'Q' if add_generation_prompt else 'A' }}{{ m.content }}{% endfor %}"
)


def made(template: str | None = None) -> Tokenizer:
    return Tokenizer(
        byte_level(),
        "made",
        marks={"bos_token": "<|bos|>", "eos_token": "<|end|>"},
        chat_template=ChatTemplate("made", {"default": template}) if template else None,
    )


def two_turns(second_weight: float = 1.0) -> Conversation:
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Hello"},
        {"role": "user", "content": "Bye"},
        {"role": "assistant", "content": "Ciao"},
    ]
    return Conversation(1, messages, [0.0, 1.0, 0.0, second_weight])


def spans(example, tokenizer=TINY, **options):
    found = tokenize([example], tokenizer, **options).examples
    return [list(one.spans(tokenizer)) for one in found]


def test_only_the_assistants_words_count() -> None:
    """Each answer counts with the token that ends it; what frames it does not."""
    assert spans(two_turns()) == [
        [
            ("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", 0.0),
            ("Hello<|im_end|>", 1.0),
            ("\n<|im_start|>user\nBye<|im_end|>\n<|im_start|>assistant\n", 0.0),
            ("Ciao<|im_end|>", 1.0),
            ("\n", 0.0),
        ]
    ]


def test_an_answer_of_weight_0_is_context() -> None:
    """It is read and not learned."""
    ((before, answer, after),) = spans(two_turns(second_weight=0.0))
    assert answer == ("Hello<|im_end|>", 1.0)
    assert (before[1], after[1]) == (0.0, 0.0)
    assert after[0].endswith("Ciao<|im_end|>\n")


def test_tokens_are_those_that_sampling_sends() -> None:
    """The tokens are those of the whole text; what stands before an answer is a sample's prompt."""
    conversation = two_turns()
    (one,) = tokenize([conversation], TINY).examples
    prompt = TINY.apply_chat_template(conversation.messages[:3], add_generation_prompt=True)
    assert one.tokens[: len(prompt)].tolist() == prompt
    whole = TINY.apply_chat_template(conversation.messages)
    assert one.tokens.tolist() == whole


def test_a_template_that_rewrites_earlier_turns_gives_an_example_for_each_answer() -> None:
    """Each answer is learned after exactly what the model will have read before it."""
    assert spans(two_turns(), made(THINKING)) == [
        [
            ("<|user|>Hi<|end|>\n<|assistant|>", 0.0),
            ("<think></think>Hello<|end|>", 1.0),
            ("\n", 0.0),
        ],
        [
            ("<|user|>Hi<|end|>\n<|assistant|>Hello<|end|>\n<|user|>Bye<|end|>\n<|assistant|>", 0),
            ("<think></think>Ciao<|end|>", 1.0),
            ("\n", 0.0),
        ],
    ]


def test_an_answer_begins_where_question_and_answer_part() -> None:
    """A template may open the answer with more when it asks for one."""
    assert spans(two_turns(), made(PREFILLED)) == [
        [
            ("<|bos|>user>Hiassistant>", 0.0),
            ("Hello<|end|>", 1.0),
            ("user>Byeassistant>", 0.0),
            ("Ciao<|end|>", 1.0),
        ]
    ]


def test_a_template_that_hides_where_an_answer_begins_is_refused() -> None:
    """The error names the message and a way out."""
    with pytest.raises(ValidationError, match=r"line 1: messages\[1\]: .* try the plain format"):
        spans(two_turns(), made(CONTRARY))


def test_a_template_that_refuses_a_conversation_names_its_line() -> None:
    """Some templates want user and assistant to take turns."""
    strict = made("{{ raise_exception('roles must alternate') }}")
    with pytest.raises(ValidationError, match=r"line 1: .*roles must alternate"):
        spans(two_turns(), strict)


def test_a_model_without_a_template_gets_a_plain_one() -> None:
    """Speakers are named, the tokenizer's marks frame the text, and each answer ends with one."""
    tokenizer = made()
    assert isinstance(chat_format(tokenizer), PlainFormat)
    assert spans(two_turns(), tokenizer) == [
        [
            ("<|bos|>User: Hi\n\nAssistant:", 0.0),
            (" Hello<|end|>", 1.0),
            ("\n\nUser: Bye\n\nAssistant:", 0.0),
            (" Ciao<|end|>", 1.0),
        ]
    ]
    with pytest.raises(TokenizerError, match="has no chat template"):
        chat_format(tokenizer, "template")
    tool = {"type": "function", "function": {"name": "now"}}
    tools = Conversation(3, two_turns().messages, two_turns().weights, tools=[tool])
    with pytest.raises(ValidationError, match=r"line 3: the plain format ignores tools\[0\]"):
        spans(tools, tokenizer)


def test_a_completion_counts_and_its_prompt_does_not() -> None:
    """The prompt is encoded as a sample's is, with the tokenizer's frame."""
    example = Completion(1, "2+2=", "4")
    assert spans(example) == [[("2+2=", 0.0), ("4<|im_end|>", 1.0)]]
    framed = made()
    (one,) = tokenize([example], framed).examples
    prompt = framed.encode("2+2=")
    assert framed.id_to_token(prompt[0]) == "<|bos|>"
    assert one.tokens[: len(prompt)].tolist() == prompt
    assert spans(Completion(1, "", "4 it is")) == [[("4", 0.0), (" it is<|im_end|>", 1.0)]]


def test_a_document_counts_whole() -> None:
    """All but the first token, before which nothing stands."""
    ((first, rest),) = spans(Document(1, "Once upon a time"))
    assert first == ("Once", 0.0)
    assert rest == (" upon a time<|im_end|>", 1.0)


def test_everything_counts_on_request() -> None:
    """With loss_on="all" the prompt and what frames the answers are learned too."""
    ((first, rest),) = spans(Completion(1, "2+2=", "4"), loss_on="all")
    assert first[1] == 0.0
    assert rest == ("+2=4<|im_end|>", 1.0)


def test_the_loss_gets_shifted_tokens_and_weights() -> None:
    """N tokens are N - 1 positions; position i is about token i + 1."""
    (one,) = tokenize([Completion(1, "2+2=", "4")], TINY).examples
    datum = one.datum()
    assert datum.model_input.to_ints() == one.tokens[:-1].tolist()
    assert datum.loss_fn_inputs["target_tokens"].tolist() == one.tokens[1:].tolist()
    assert datum.loss_fn_inputs["weights"].tolist() == one.weights[1:].tolist()
    assert one.weight == sum(one.weights[1:])


LONG = [Completion(1, "a", "b"), Completion(2, "a", "b " * 40), Completion(4, "a " * 40, "b")]


def test_too_long_examples_are_an_error_unless_said_otherwise() -> None:
    """The error counts them, and names the lines and the longest."""
    with pytest.raises(ValidationError) as caught:
        tokenize(LONG, TINY, max_length=20)
    message = str(caught.value)
    assert "2 examples are longer than 20 tokens (lines 2 and 4; the longest, line " in message
    assert "skip or truncate" in message


def test_too_long_examples_can_be_skipped() -> None:
    """They are left out, and their lines are told."""
    found = tokenize(LONG, TINY, max_length=20, too_long="skip")
    assert [one.line for one in found.examples] == [1]
    assert list(found.skipped) == [2, 4]
    assert not found.truncated


def test_too_long_examples_can_be_cut() -> None:
    """Their end goes; one of which only the prompt would be left is left out."""
    found = tokenize(LONG, TINY, max_length=20, too_long="truncate")
    assert [(one.line, len(one.tokens) <= 20) for one in found.examples] == [(1, True), (2, True)]
    assert list(found.truncated) == [2]
    assert list(found.skipped) == [4]


@pytest.mark.parametrize(
    ("text", "end"),
    [
        ("Yes.<|end|>\n", 11),
        ("Yes.<|end|>", 11),
        ("A <|end|> within", 16),
        ("<|end|> and <|end|> \n", 19),
        ("No mark", 7),
        ("", 0),
    ],
)
def test_an_answer_ends_with_the_token_that_ends_it(text: str, end: int) -> None:
    """White space after it belongs to the template; a mark within the text ends nothing."""
    assert end_of_answer(text, ["<|end|>"]) == end
    assert end_of_answer(text, []) == len(text)


def test_the_tokens_that_stop_an_answer_come_from_the_template() -> None:
    """A base model's own end of text may be another token than the one that ends a turn."""
    turns = "{% for m in messages %}{{ m.content }}<|bos|>{% endfor %}"
    tokenizer = made(turns)
    names = [tokenizer.id_to_token(one) for one in TemplateFormat(tokenizer).stops()]
    assert names == ["<|bos|>", "<|end|>"]
    assert PlainFormat(tokenizer).stops() == ["<|end|>", "\n\nUser:"]
    assert chat_format(TINY).stops() == [TINY.token_to_id("<|im_end|>")]
