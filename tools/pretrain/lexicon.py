"""English inflection for the corpus: plurals, past tense, -ing, comparison, and a/an."""

from __future__ import annotations

import re
import tomllib
from functools import cache
from pathlib import Path

FOLDER = Path(__file__).parent / "grammar"
VOWELS = "aeiou"


@cache
def table(name: str) -> dict[str, object]:
    """Read one TOML file of the grammar folder."""
    return tomllib.loads((FOLDER / f"{name}.toml").read_text(encoding="utf-8"))


def words(text: str) -> list[str]:
    """Split a word list; an underscore stands for a space inside a word."""
    return [word.replace("_", " ") for word in text.split()]


@cache
def irregular(kind: str) -> dict[str, str]:
    """Return the table base form -> irregular form of one kind ("past" or "plural")."""
    flat = words(str(table("irregular")[kind]))
    return dict(zip(flat[::2], flat[1::2], strict=True))


@cache
def _doubling() -> frozenset[str]:
    return frozenset(words(str(table("irregular")["doubling"])))


def _tail_of_y(word: str) -> bool:
    return word.endswith("y") and len(word) > 1 and word[-2] not in VOWELS


def plural(noun: str) -> str:
    """Return the plural of a noun; of a compound, that of its last word."""
    head, _, last = noun.rpartition(" ")
    if head:
        return f"{head} {plural(last)}"
    if noun in irregular("plural"):
        return irregular("plural")[noun]
    if _tail_of_y(noun):
        return noun[:-1] + "ies"
    return noun + ("es" if noun.endswith(("s", "x", "z", "ch", "sh")) else "s")


def past(verb: str) -> str:
    """Return the past tense of a verb."""
    if verb in irregular("past"):
        return irregular("past")[verb]
    head, _, rest = verb.partition(" ")
    if rest:
        return f"{past(head)} {rest}"
    if verb.endswith("e"):
        return verb + "d"
    if _tail_of_y(verb):
        return verb[:-1] + "ied"
    return verb + (verb[-1] if verb in _doubling() else "") + "ed"


def present_participle(verb: str) -> str:
    """Return the -ing form of a verb."""
    head, _, rest = verb.partition(" ")
    if rest:
        return f"{present_participle(head)} {rest}"
    if verb.endswith("ie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee", "oe")):
        return verb[:-1] + "ing"
    double = verb in _doubling() or verb in {
        "run",
        "swim",
        "sit",
        "dig",
        "cut",
        "put",
        "get",
        "win",
    }
    return verb + (verb[-1] if double else "") + "ing"


def compared(adjective: str, ending: str) -> str:
    """Return the comparative ("er") or superlative ("est") of an adjective."""
    long = len(adjective) > 6 or adjective.endswith(("ed", "en", "nge", "ern", "ct"))
    if long:
        return ("more " if ending == "er" else "most ") + adjective
    if adjective.endswith("e"):
        return adjective + ending[1:]
    if _tail_of_y(adjective):
        return adjective[:-1] + "i" + ending
    double = re.fullmatch(r"[^aeiou]*[aeiou][bdgmnpt]", adjective) is not None
    return adjective + (adjective[-1] if double else "") + ending


def capitalised(text: str) -> str:
    """Return the text with its first letter in upper case."""
    return text[:1].upper() + text[1:]


INFLECTIONS = {
    "s": plural,
    "ed": past,
    "ing": present_participle,
    "er": lambda word: compared(word, "er"),
    "est": lambda word: compared(word, "est"),
    "^": capitalised,
    "'s": lambda word: word + "'s",
}


def with_articles(text: str) -> str:
    """Turn "a" into "an" before a vowel sound."""
    return re.sub(r"\b([Aa]) (?=[aeio]|u(?!n[ai]|se)|hour|honest)", r"\1n ", text)
