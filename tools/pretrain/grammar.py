"""A context-free grammar with memory: rules expand to text, and a document remembers its heroes.

The notation, as the TOML files use it: `{rule}` expands a rule or draws a word; `{rule#key}` draws once per
document and remembers the result, which `{key}` repeats and `{key:he}` turns into a pronoun; `{rule|s}` inflects
(see `lexicon.INFLECTIONS`); `[a|b]` chooses; `^` capitalises the next letter.
"""

from __future__ import annotations

import random
import re
from functools import cache

from . import lexicon

SLOT = re.compile(r"\{([^{}]+)\}")
CHOICE = re.compile(r"\[([^\[\]]*\|[^\[\]]*)\]")
PRONOUNS = {
    "she": {"he": "she", "his": "her", "him": "her"},
    "he": {"he": "he", "his": "his", "him": "him"},
    "it": {"he": "it", "his": "its", "him": "it"},
}


@cache
def rules() -> dict[str, list[str]]:
    """Read all rules and word lists: name -> alternatives."""
    found: dict[str, list[str]] = {}
    for name in ("words", "general", "story", "prose"):
        for rule, body in lexicon.table(name).items():
            if rule in found:
                raise ValueError(f"the rule {rule!r} is defined twice")
            found[rule] = lexicon.words(body) if isinstance(body, str) else list(body)
    return found


@cache
def _gender(name: str) -> str:
    for words, pronoun in (("girl", "she"), ("boy", "he")):
        if name in rules()[words]:
            return pronoun
    return "it"


class Document:
    """One expansion: a random generator and what was remembered so far."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.memory: dict[str, str] = {}
        self.written: set[str] = set()

    def write(self, rule: str) -> str:
        """Expand a rule to finished text."""
        text = self._expand("{" + rule + "}")
        text = re.sub(r"\^(\"?)([a-z])", lambda m: m[1] + m[2].upper(), text).replace("^", "")
        return lexicon.with_articles(text)

    def _expand(self, template: str) -> str:
        chosen = template
        while (found := CHOICE.search(chosen)) is not None:
            pick = self.rng.choice(found[1].split("|"))
            chosen = chosen[: found.start()] + pick + chosen[found.end() :]
        return SLOT.sub(lambda slot: self._slot(slot[1]), chosen)

    def _slot(self, text: str) -> str:
        text, *inflections = text.split("|")
        text, _, pronoun = text.partition(":")
        rule, _, key = text.partition("#")
        if pronoun:
            return PRONOUNS[_gender(self.memory.get(rule, "").lower())][pronoun]
        word = self._named(rule, key)
        for inflection in inflections:
            word = lexicon.INFLECTIONS[inflection](word)
        return word

    def _named(self, rule: str, key: str) -> str:
        if key and key in self.memory:
            return self._mention(key)
        if rule in self.memory and not key:
            return self._mention(rule)
        word = self._expand(self._alternative(rules()[rule]))
        if rule in {"girl", "boy"}:
            word = lexicon.capitalised(word)
        if key:
            self.memory[key] = word
        return word

    def _alternative(self, alternatives: list[str]) -> str:
        """Choose an alternative; a sentence that the document has already is drawn again, a few times."""
        for _ in range(4):
            chosen = self.rng.choice(alternatives)
            if not chosen.endswith((".", "?", "!", '"')) or chosen not in self.written:
                break
        self.written.add(chosen)
        return chosen

    def _mention(self, key: str) -> str:
        word = self.memory[key]
        if key in {"hero", "friend"} and word.islower() and not word.startswith("the "):
            return "the " + word
        return word
