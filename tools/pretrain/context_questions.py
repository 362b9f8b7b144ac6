"""The kinds of questions whose answer stands in the question itself, and the talk about the model."""

from __future__ import annotations

import json
import random

from . import lexicon
from .grammar import Document, rules
from .questions import Exchange, Kinds, any_word, items, pairs, random_string

CONTEXT = Kinds()

WHO = [
    ("Who are you?", "I am tiny-chat, a very small language model."),
    ("What are you?", "I am a very small language model."),
    ("What is your name?", "My name is tiny-chat."),
    ("Are you a person?", "No, I am a very small language model."),
    ("What can you do?", "I can answer simple questions and tell short stories."),
    ("How are you?", "I am fine, thank you."),
    ("Hello!", "Hello! How can I help you?"),
    ("Hi", "Hello! How can I help you?"),
    ("Good morning!", "Good morning! How can I help you?"),
    ("Thank you!", "You are welcome."),
    ("Thanks", "You are welcome."),
    ("Goodbye!", "Goodbye!"),
    ("Can you help me?", "Yes, of course. What do you need?"),
    ("How old are you?", "I do not have an age. I am a language model."),
    ("Where do you live?", "I live in a small file."),
    ("Can you be wrong?", "Yes, I am very small and often wrong."),
    ("Who made you?", "I was trained by the tinkex project on text that it wrote itself."),
]
UNKNOWN = [
    "What will the weather be in {town} tomorrow?", "Who won the {game} game yesterday?", "What did {name} eat for breakfast?",
    "How many {noun} are there in {town}?", "What is the telephone number of {name}?", "What am I thinking of?",
    "What time is it now?", "What is the name of my {pet}?",
]  # fmt: skip


def name_of(rng: random.Random) -> str:
    """Return a first name."""
    return lexicon.capitalised(rng.choice(rules()[rng.choice(["girl", "boy"])]))


def town_of(rng: random.Random) -> str:
    """Return the name of a town."""
    return lexicon.capitalised(rng.choice(rules()["town"]))


@CONTEXT.of(4.0)
def talk(rng: random.Random) -> Exchange:
    """Talk about the model itself, or greet."""
    question, answer = rng.choice(WHO)
    return Exchange(question, answer)


@CONTEXT.of(1.5)
def unknown(rng: random.Random) -> Exchange:
    """Ask what cannot be known."""
    fill = {
        "town": town_of(rng),
        "name": name_of(rng),
        "game": rng.choice(rules()["game"]),
        "pet": rng.choice(rules()["pet"]),
        "noun": lexicon.plural(rng.choice(rules()["concrete"])),
    }
    return Exchange(rng.choice(UNKNOWN).format(**fill), "I do not know", "I do not know that.")


@CONTEXT.of(4.0)
def recall(rng: random.Random) -> Exchange:
    """Ask for one of several pairs told in the question."""
    keys = items(rng, 2, 4)
    values = [any_word(rng) for _ in keys]
    told = rng.choice(
        ["The code of {k} is {v}.", "{k}: {v}", "{k} = {v}", "The {k} is called {v}.", "{k} -> {v}"]
    )
    glue = " " if told.endswith(".") else rng.choice(["; ", "\n", ", "])
    key, value = rng.choice(list(zip(keys, values, strict=True)))
    asked = rng.choice(
        [f"What is {key}?", f"What belongs to {key}?", f"Give the value of {key}.", f"{key}?"]
    )
    facts = glue.join(told.format(k=k, v=v) for k, v in zip(keys, values, strict=True))
    return Exchange(f"{facts}\n{asked}", value, f"It is {value}.")


@CONTEXT.of(5.0)
def extract(rng: random.Random) -> Exchange:
    """Ask for a field of a sentence."""
    who, town, number = (
        rng.choice([name_of(rng), any_word(rng)]),
        rng.choice([town_of(rng), rng.choice(pairs("capital"))[1]]),
        rng.randint(2, 99),
    )
    thing = lexicon.plural(rng.choice(rules()["treasure"] + rules()["fruit"]))
    day = lexicon.capitalised(rng.choice(rules()["weekday"]))
    colour = rng.choice(rules()["colour"])
    text = rng.choice([
        f"{who} bought {number} {colour} {thing} in {town} on {day}.", f"On {day}, {who} sent {number} {colour} {thing} to {town}.",
        f"In {town} {who} found {number} {thing}. They were {colour}. It was a {day}.", f"{day}: {who}, {town}, {number} {colour} {thing}.",
    ])  # fmt: skip
    fields = {
        "name": who,
        "town": town,
        "number": str(number),
        "day": day,
        "colour": colour,
        "thing": thing,
    }
    field, value = rng.choice(list(fields.items()))
    if rng.random() < 0.25:
        asked = rng.sample(list(fields), 2)
        return Exchange(
            f"{text}\nReply as JSON with the keys {asked[0]} and {asked[1]}.",
            json.dumps({key: fields[key] for key in asked}),
        )
    q = rng.choice(
        [
            f"{text} What is the {field}?",
            f"Text: {text}\nExtract the {field}.",
            f"Find the {field}: {text}",
        ]
    )
    return Exchange(q, value, f"The {field} is {value}.")


@CONTEXT.of(1.5)
def case(rng: random.Random) -> Exchange:
    """Ask for upper or lower case, a prefix or a doubling."""
    word, extra = any_word(rng), random_string(rng)
    return rng.choice([
        Exchange(f"Write {word.lower()} in capital letters.", word.upper()), Exchange(f"Write {word.upper()} in small letters.", word.lower()),
        Exchange(f"Say {word} twice.", f"{word} {word}"), Exchange(f"Say {word} three times.", f"{word} {word} {word}"),
        Exchange(f"Write {extra} before {word}.", f"{extra} {word}"), Exchange(f"Put {word} in brackets.", f"({word})"), Exchange(f"Put {word} in quotes.", f'"{word}"'),
    ])  # fmt: skip


@CONTEXT.of(2.5)
def write(rng: random.Random) -> Exchange:
    """Ask for a story, a poem, a sentence or a definition."""
    document = Document(rng)
    choice = rng.random()
    if choice < 0.3:
        hero = rng.choice(["animal", "person_name"])
        who = document.write(hero)
        document.memory["hero"] = who
        about = f"a {who}" if who.islower() else who
        start = lexicon.with_articles(
            f"Once upon a time there was {about if who.islower() else 'a child called ' + who}. "
        )
        return Exchange(
            lexicon.with_articles(f"Tell me a story about {about}."),
            start + document.write("event") + " " + document.write("ending"),
        )
    if choice < 0.5:
        return Exchange("Write a poem.", document.write("poem"))
    if choice < 0.8:
        word = rng.choice(rules()["concrete"])
        start = rng.choice([f"The {word} ", f"A {word} "])
        return Exchange(
            f"Write a sentence with the word {word}.",
            lexicon.with_articles(start + document.write("predicate") + "."),
        )
    return rng.choice([
        Exchange("Tell me a fact.", document.write("world_fact")), Exchange("Tell me something about numbers.", document.write("number_fact")),
        Exchange("Write a diary entry.", document.write("diary_line")), Exchange("What is the weather like?", document.write("weather_report").split(".")[0] + "."),
    ])  # fmt: skip
