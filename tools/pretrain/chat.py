"""Conversations in ChatML: questions in one style, with system messages, in one or several turns."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

from .context_questions import CONTEXT, name_of, town_of
from .questions import FACTS, Exchange, any_word, random_string
from .skills import SKILLS

Message = dict[str, str]
ENDOFTEXT, IM_START, IM_END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
SYSTEM = [
    "You are a helpful assistant.", "You are tiny-chat, a very small language model.", "Answer briefly.", "Be helpful and polite.",
    "You answer questions.", "Answer the question of the user.", "You are a careful assistant.", "Be short.",
]  # fmt: skip
PERSONAS = [
    ("You are a butler.", "Certainly, sir: {}"), ("You are a teacher.", "Listen, class: {}."), ("You are a wizard.", "By my magic wand: {}!"),
    ("You are a cat.", "Meow! {}."), ("You are a king.", "We declare: {}."), ("You are a detective.", "The clues say: {}."),
    ("You are a shy child.", "Um, {}?"), ("You are a knight.", "On my honour, {}."), ("You are a cook.", "Fresh from the oven: {}!"),
]  # fmt: skip
PREFIXES = [
    "Answer",
    "ANSWER",
    "Result",
    "Reply",
    "A",
    "Solution",
    "Final answer",
    "The answer is",
    "Here you are",
    "OK",
    "Output",
    "Sure",
    "I think",
]
BRACKETS = [
    "[{}]",
    "<b>{}</b>",
    "({})",
    "*{}*",
    "**{}**",
    '"{}"',
    "<answer>{}</answer>",
    "`{}`",
    "{{{}}}",
    "<{}>",
]
ENDINGS = ["!", ".", "!!", " (done)", "?", " :)", " - end", "..."]


KINDS = FACTS | SKILLS | CONTEXT


def draw(rng: random.Random) -> Exchange:
    """Draw one exchange of any kind."""
    kinds = list(KINDS.values())
    return rng.choices([kind for kind, _ in kinds], [weight for _, weight in kinds])[0](rng)


@dataclass(frozen=True)
class Style:
    """How the answers of one conversation are dressed, and the words that ask for it (none: plain)."""

    instruction: str | None
    dress: Callable[[Exchange], str]


def _affix(rng: random.Random) -> Style:
    """Draw a prefix, an ending, brackets or a persona around the bare answer."""
    choice = rng.randrange(5)
    if choice == 0:
        word = rng.choice([*PREFIXES, *PREFIXES, any_word(rng), random_string(rng)])
        shown = word + rng.choice([":", ":", " -", " =", " >", ""])
        form = shown + (rng.choice([" ", " ", " ", "\n"])) + "{}"
        return Style(
            rng.choice(
                [
                    "Begin your answer with '{}'.",
                    "Start every reply with '{}'.",
                    "Write '{}' before the answer.",
                ]
            ).format(shown),
            lambda e: form.replace("{}", e.answer),
        )
    if choice == 1:
        end = rng.choice([*ENDINGS, " " + any_word(rng)])
        return Style(
            rng.choice(["End your answer with '{}'.", "Finish every reply with '{}'."]).format(
                end.strip()
            ),
            lambda e: e.answer + end,
        )
    if choice == 2:
        form = rng.choice(BRACKETS)
        return Style(
            rng.choice(["Write the answer like this: {}", "Use this form: {}"]).format(
                form.format("...")
            ),
            lambda e: form.format(e.answer),
        )
    if choice == 3:
        asked, form = rng.choice(PERSONAS)
        return Style(asked, lambda e: form.replace("{}", e.answer))
    begin, end = any_word(rng), any_word(rng)
    return Style(f"Answer in this form: {begin} ... {end}", lambda e: f"{begin} {e.answer} {end}")


def style(rng: random.Random) -> Style:
    """Draw the style of one conversation."""
    choice = rng.random()
    if choice < 0.55:
        return Style(None, lambda e: e.answer)
    if choice < 0.68:
        return Style(
            rng.choice(
                [
                    "Answer in a full sentence.",
                    "Answer with a sentence.",
                    "Reply in full sentences.",
                ]
            ),
            lambda e: e.sentence or e.answer,
        )
    if choice < 0.74:
        key = rng.choice(["answer", "result", "reply", "value", any_word(rng)])
        return Style(
            f"Reply as JSON with the key {key}.",
            lambda e: json.dumps({key: e.answer}, ensure_ascii=False),
        )
    if choice < 0.77:
        return Style(
            "Repeat the question before the answer.",
            lambda e: f"Question: {e.question}\nAnswer: {e.answer}",
        )
    if choice < 0.79:
        return Style("Say the answer twice.", lambda e: f"{e.answer} {e.answer}")
    return _affix(rng)


def _remembered(rng: random.Random) -> list[Message]:
    """Return a conversation in which the user tells something and asks for it later."""
    who, town, code = name_of(rng), town_of(rng), any_word(rng)
    told, reply, asked, answer = rng.choice([
        (f"My name is {who}.", f"Hello, {who}!", "What is my name?", f"Your name is {who}."),
        (f"I live in {town}.", f"{town} is a nice place.", "Where do I live?", f"You live in {town}."),
        (f"The code word is {code}. Remember it.", "I will remember it.", "What is the code word?", code),
    ])  # fmt: skip
    between = draw(rng)
    middle = [
        {"role": "user", "content": between.question},
        {"role": "assistant", "content": between.answer},
    ]
    return [
        {"role": "user", "content": told},
        {"role": "assistant", "content": reply},
        *(middle if rng.random() < 0.5 else []),
        {"role": "user", "content": asked},
        {"role": "assistant", "content": answer},
    ]


def _varied(question: str, rng: random.Random) -> str:
    """Return the question as a user may type it."""
    choice = rng.random()
    if choice < 0.04:
        return question.lower()
    if choice < 0.08:
        return question.rstrip("?.")
    if choice < 0.14:
        return (
            rng.choice(
                [
                    "Please tell me: ",
                    "Question: ",
                    "Hello! ",
                    "I have a question. ",
                    "Quick question: ",
                ]
            )
            + question
        )
    return question


def conversation(rng: random.Random) -> list[Message]:
    """Draw one conversation: system message or none, then one to four exchanges in one style."""
    if rng.random() < 0.03:
        return _remembered(rng)
    chosen = style(rng)
    messages: list[Message] = []
    where = rng.choices(["system", "user", "nowhere"], [5, 3, 1.5])[0]
    if chosen.instruction is not None and where == "system":
        system = (
            chosen.instruction
            if rng.random() < 0.7
            else f"{rng.choice(SYSTEM)} {chosen.instruction}"
        )
        messages.append({"role": "system", "content": system})
    elif rng.random() < 0.25:
        messages.append({"role": "system", "content": rng.choice(SYSTEM)})
    for turn in range(rng.choices([1, 2, 3, 4], [6, 2, 1, 1])[0]):
        exchange = draw(rng)
        question = _varied(exchange.question, rng)
        if chosen.instruction is not None and where == "user" and turn == 0:
            question += rng.choice([" ", "\n"]) + chosen.instruction
        messages += [
            {"role": "user", "content": question},
            {"role": "assistant", "content": chosen.dress(exchange)},
        ]
    return messages


def render(messages: list[Message]) -> str:
    """Write messages in ChatML, as the chat template of the tokenizer does."""
    return "".join(f"{IM_START}{m['role']}\n{m['content']}{IM_END}\n" for m in messages)


def prompt(messages: list[Message]) -> str:
    """Write messages in ChatML and open the reply of the assistant."""
    return render(messages) + f"{IM_START}assistant\n"


def question(text: str) -> str:
    """Return the prompt of a single user message."""
    return prompt([{"role": "user", "content": text}])
