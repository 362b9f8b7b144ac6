"""What all questions of the chat corpus share, and the questions about facts."""

from __future__ import annotations

import random
import string
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from . import lexicon
from .grammar import rules


@dataclass(frozen=True)
class Exchange:
    """One question, its short answer and, where there is one, the answer as a sentence."""

    question: str
    answer: str
    sentence: str | None = None


Kind = Callable[[random.Random], Exchange]


class Kinds(dict[str, tuple[Kind, float]]):
    """Kinds of questions by name, each with its relative frequency."""

    def of(self, weight: float) -> Callable[[Kind], Kind]:
        """Register the decorated kind of question."""

        def register(function: Kind) -> Kind:
            self[function.__name__] = (function, weight)
            return function

        return register


@cache
def pairs(name: str) -> list[tuple[str, str]]:
    """Return the pairs of one table of facts.toml."""
    flat = lexicon.words(str(lexicon.table("facts")[name]))
    return list(dict.fromkeys(zip(flat[::2], flat[1::2], strict=True)))


@cache
def plain_words() -> list[str]:
    """Return the single words that copying, spelling and sorting tasks use."""
    chosen = ("pet", "farm_animal", "wild_animal", "bird", "fruit", "vegetable", "tool", "tree", "colour", "metal",
              "treasure", "concrete", "abstract", "dish", "cloth", "material")  # fmt: skip
    return sorted({word for rule in chosen for word in rules()[rule] if " " not in word})


def random_string(rng: random.Random) -> str:
    """Return a short string without meaning: letters, digits or both."""
    alphabet = rng.choice([string.ascii_lowercase, string.ascii_uppercase, string.digits,
                           string.ascii_uppercase + string.digits, string.ascii_lowercase + string.digits])  # fmt: skip
    return "".join(rng.choices(alphabet, k=rng.randint(2, 8)))


def any_word(rng: random.Random) -> str:
    """Return a word, a name, a made-up word or a random string: what copying must cope with."""
    made_up = "".join(
        rng.choice("bcdfghklmnprstvz") + rng.choice("aeiou") for _ in range(rng.randint(2, 4))
    )
    name = lexicon.capitalised(rng.choice(rules()[rng.choice(["girl", "boy", "town"])]))
    return rng.choice(
        [rng.choice(plain_words()), rng.choice(plain_words()), name, made_up, random_string(rng)]
    )


def items(rng: random.Random, low: int = 2, high: int = 5) -> list[str]:
    """Return a few different words."""
    return rng.sample(plain_words(), rng.randint(low, high))


def article(noun: str) -> str:
    """Return the noun with "a" or "an"."""
    return lexicon.with_articles("a " + noun)


def fact(table: str, questions: list[str], sentence: str, *, backwards: bool = False) -> Kind:
    """Make a kind of question from a table of pairs."""

    def ask(rng: random.Random) -> Exchange:
        x, y = rng.choice(pairs(table))
        if backwards:
            x, y = y, x
        fill = {"x": x, "y": y, "ax": article(x), "X": lexicon.capitalised(x)}
        return Exchange(
            rng.choice(questions).format(**fill), y, lexicon.capitalised(sentence.format(**fill))
        )

    ask.__name__ = table + ("_of" if backwards else "")
    return ask


FACT_TABLES = [
    (fact("capital", ["What is the capital of {x}?", "Which city is the capital of {x}?", "Name the capital of {x}.",
                      "Capital of {x}?", "Tell me the capital of {x}."], "The capital of {x} is {y}."), 4.0),
    (fact("capital", ["{x} is the capital of which country?", "Which country has the capital {x}?"],
          "{x} is the capital of {y}.", backwards=True), 1.5),
    (fact("colour_of", ["What colour is {ax}?", "What colour is the {x}?", "Which colour is {x}?", "What is the colour of {x}?",
                        "What color is the {x}?", "Name the colour of {x}."], "The {x} is {y}."), 4.0),
    (fact("opposite", ["What is the opposite of {x}?", "Give the opposite of {x}.", "Opposite of {x}?", "What is the contrary of {x}?"],
          "The opposite of {x} is {y}."), 4.0),
    (fact("sound", ["What does {ax} do?", "What sound does {ax} make?", "What noise does the {x} make? It ..."], "The {x} {y}."), 1.5),
    (fact("young", ["What is a young {x} called?", "What do you call a baby {x}?", "Name the young of {ax}."], "A young {x} is called a {y}."), 1.5),
    (fact("home_of", ["Where does {ax} live?", "What is the home of {ax}?"], "A {x} lives in a {y}."), 1.5),
    (fact("made_of", ["What is {x} made of?", "Which material is needed to make {x}?"], "{X} is made of {y}."), 1.5),
    (fact("place_of", ["Where does {ax} work?", "What is the workplace of {ax}?"], "A {x} works in a {y}."), 1.5),
    (fact("legs", ["How many legs does {ax} have?", "How many legs has {ax}?"], "A {x} has {y} legs."), 1.0),
    (fact("french", ["What is '{x}' in French?", "Translate '{x}' into French.", "French for {x}?"], "'{X}' is '{y}' in French."), 2.0),
    (fact("german", ["What is '{x}' in German?", "Translate '{x}' into German.", "German for {x}?"], "'{X}' is '{y}' in German."), 2.0),
    (fact("spanish", ["What is '{x}' in Spanish?", "Translate '{x}' into Spanish.", "Spanish for {x}?"], "'{X}' is '{y}' in Spanish."), 2.0),
]  # fmt: skip
FACTS = Kinds({function.__name__: (function, weight) for function, weight in FACT_TABLES})
