"""The questions that a skill answers: arithmetic, word forms, copying, ordering, classifying."""

from __future__ import annotations

import random
from functools import cache

from . import lexicon
from .grammar import Document, rules
from .questions import Exchange, Kinds, any_word, article, items, plain_words

SKILLS = Kinds()
DIGITS = lexicon.words(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen"
    " sixteen seventeen eighteen nineteen twenty"
)
CATEGORIES = {
    "animal": ["pet", "farm_animal", "wild_animal", "sea_animal"],
    "bird": ["bird"],
    "insect": ["insect"],
    "fruit": ["fruit"],
    "vegetable": ["vegetable"],
    "tool": ["tool"],
    "tree": ["tree"],
    "flower": ["flower"],
    "colour": ["colour"],
    "metal": ["metal"],
    "trade": ["trade"],
    "drink": ["drink"],
    "vehicle": ["vehicle"],
    "instrument": ["instrument"],
    "month": ["month"],
    "day of the week": ["weekday"],
    "season": ["season"],
    "piece of clothing": ["cloth"],
    "piece of furniture": ["furniture"],
    "part of the body": ["body"],
}
AMBIGUOUS = {
    "newt",
    "orange",
    "lead",
    "bell",
    "date",
    "lime",
    "palm",
    "silver",
    "iris",
    "rose",
    "violet",
    "chestnut",
}


@cache
def members(category: str) -> list[str]:
    """Return the words of a category that belong to no other."""
    found = [word for rule in CATEGORIES[category] for word in rules()[rule]]
    return [word for word in dict.fromkeys(found) if word not in AMBIGUOUS]


@SKILLS.of(10.0)
def add(rng: random.Random) -> Exchange:
    """Ask for a sum."""
    top = rng.choice([10, 10, 20])
    a, b = rng.randint(0, top), rng.randint(0, top)
    q = rng.choice(
        [
            f"What is {a} + {b}?",
            f"What is {a} plus {b}?",
            f"{a} + {b} = ?",
            f"Add {a} and {b}.",
            f"How much is {a} + {b}?",
            f"Calculate {a} + {b}.",
        ]
    )
    return Exchange(q, str(a + b), f"{a} plus {b} is {a + b}.")


@SKILLS.of(3.0)
def subtract(rng: random.Random) -> Exchange:
    """Ask for a difference."""
    a = rng.randint(0, 20)
    b = rng.randint(0, a)
    q = rng.choice(
        [f"What is {a} - {b}?", f"What is {a} minus {b}?", f"{a} - {b} = ?", f"Take {b} from {a}."]
    )
    return Exchange(q, str(a - b), f"{a} minus {b} is {a - b}.")


@SKILLS.of(2.5)
def multiply(rng: random.Random) -> Exchange:
    """Ask for a product."""
    a, b = rng.randint(0, 10), rng.randint(0, 10)
    q = rng.choice(
        [
            f"What is {a} x {b}?",
            f"What is {a} times {b}?",
            f"{a} * {b} = ?",
            f"Multiply {a} by {b}.",
        ]
    )
    return Exchange(q, str(a * b), f"{a} times {b} is {a * b}.")


@SKILLS.of(1.5)
def compare(rng: random.Random) -> Exchange:
    """Ask which number is bigger or smaller."""
    a, b = rng.sample(range(100), 2)
    big = rng.random() < 0.6
    word = rng.choice(["bigger", "larger", "greater"] if big else ["smaller", "less"])
    found = max(a, b) if big else min(a, b)
    return Exchange(f"Which number is {word}, {a} or {b}?", str(found), f"{found} is {word}.")


@SKILLS.of(2.0)
def count(rng: random.Random) -> Exchange:
    """Ask to count, for the next number, or for a number as a word."""
    a = rng.randint(0, 15)
    b = a + rng.randint(2, 8)
    up = " ".join(str(i) for i in range(a, b + 1))
    down = " ".join(str(i) for i in range(b, a - 1, -1))
    n = rng.randint(0, 20)
    m = rng.randint(0, 98)
    return rng.choice([
        Exchange(f"Count from {a} to {b}.", up), Exchange(f"Count down from {b} to {a}.", down),
        Exchange(f"Which number comes after {m}?", str(m + 1), f"After {m} comes {m + 1}."),
        Exchange(f"Which number comes before {m + 1}?", str(m), f"Before {m + 1} comes {m}."),
        Exchange(f"Write {n} as a word.", DIGITS[n]), Exchange(f"Write '{DIGITS[n]}' in digits.", str(n)),
    ])  # fmt: skip


@SKILLS.of(1.5)
def calendar(rng: random.Random) -> Exchange:
    """Ask for the next or previous day or month."""
    name, one = rng.choice([("weekday", "day"), ("month", "month")])
    names = [lexicon.capitalised(word) for word in rules()[name]]
    i = rng.randrange(len(names))
    step, word = rng.choice([(1, "after"), (-1, "before")])
    answer = names[(i + step) % len(names)]
    return Exchange(
        f"Which {one} comes {word} {names[i]}?", answer, f"{answer} comes {word} {names[i]}."
    )


@SKILLS.of(3.0)
def plural(rng: random.Random) -> Exchange:
    """Ask for a plural."""
    word = rng.choice([rng.choice(plain_words()), rng.choice(list(lexicon.irregular("plural")))])
    many = lexicon.plural(word)
    q = rng.choice(
        [
            f"What is the plural of {word}?",
            f"Give the plural of '{word}'.",
            f"Plural of {word}?",
            f"One {word}, two ...?",
        ]
    )
    return Exchange(q, many, f"The plural of {word} is {many}.")


@SKILLS.of(3.0)
def past_tense(rng: random.Random) -> Exchange:
    """Ask for a past tense."""
    verb = rng.choice([rng.choice(rules()["act"]), rng.choice(list(lexicon.irregular("past")))])
    q = rng.choice(
        [
            f"What is the past tense of {verb}?",
            f"Past tense of '{verb}'?",
            f"Today I {verb}. Yesterday I ...?",
        ]
    )
    return Exchange(q, lexicon.past(verb), f"The past tense of {verb} is {lexicon.past(verb)}.")


@SKILLS.of(1.5)
def comparative(rng: random.Random) -> Exchange:
    """Ask for a comparative or superlative."""
    word = rng.choice(rules()["look"] + rules()["size"])
    name, ending = rng.choice([("comparative", "er"), ("superlative", "est")])
    return Exchange(f"What is the {name} of {word}?", lexicon.compared(word, ending))


@SKILLS.of(3.0)
def spell(rng: random.Random) -> Exchange:
    """Ask to spell a word, or for its first or last letter."""
    word = rng.choice(plain_words())
    return rng.choice([
        Exchange(f"Spell the word {word}.", "-".join(word)), Exchange(f"How do you spell '{word}'?", "-".join(word)),
        Exchange(f"What is the first letter of {word}?", word[0]), Exchange(f"What is the last letter of {word}?", word[-1]),
        Exchange(f"Which word is this: {'-'.join(word)}?", word),
    ])  # fmt: skip


@SKILLS.of(2.0)
def rhyme(rng: random.Random) -> Exchange:
    """Ask for a rhyme."""
    family = list(lexicon.table("facts")["rhymes"])  # type: ignore[call-overload]
    group = rng.choice(family).split()
    first = group[0]
    word = rng.choice(group)
    other = group[1] if word == first else first
    q = rng.choice(
        [
            f"What rhymes with {word}?",
            f"Name a word that rhymes with {word}.",
            f"Find a rhyme for {word}.",
        ]
    )
    return Exchange(q, other, f"The word {other} rhymes with {word}.")


@SKILLS.of(6.0)
def repeat(rng: random.Random) -> Exchange:
    """Ask to copy words, strings or a sentence."""
    text = rng.choice(
        [
            any_word(rng),
            any_word(rng),
            " ".join(any_word(rng) for _ in range(rng.randint(2, 5))),
            Document(rng).write("sentence"),
        ]
    )
    q = rng.choice(
        [
            "Repeat this: {}",
            "Say: {}",
            "Copy the text: {}",
            "Repeat after me: {}",
            "Write exactly this: {}",
            "Echo {}",
            "Say '{}'.",
        ]
    )
    return Exchange(q.format(text), text)


@SKILLS.of(4.0)
def order(rng: random.Random) -> Exchange:
    """Ask to reverse, sort or pick from a list."""
    words = items(rng)
    text = rng.choice([" ", ", "]).join(words)
    glue = ", " if ", " in text else " "
    numbers = rng.sample(range(30), rng.randint(2, 5))
    listed = " ".join(map(str, numbers))
    place, i = rng.choice([("first", 0), ("last", -1), ("second", 1)])
    return rng.choice([
        Exchange(f"Reverse the order: {text}", glue.join(reversed(words))), Exchange(f"Write these words backwards: {text}", glue.join(reversed(words))),
        Exchange(f"Sort these words: {text}", glue.join(sorted(words))), Exchange(f"Put in alphabetical order: {text}", glue.join(sorted(words))),
        Exchange(f"Sort these numbers: {listed}", " ".join(map(str, sorted(numbers)))), Exchange(f"Which number is the biggest: {listed}?", str(max(numbers))),
        Exchange(f"What is the {place} word of: {text}?", words[i]), Exchange(f"How many words are in this list: {text}?", str(len(words))),
        Exchange(f"Join these words with a dash: {text}", "-".join(words)),
    ])  # fmt: skip


@SKILLS.of(5.0)
def classify(rng: random.Random) -> Exchange:
    """Ask what kind of thing a word names, directly or by yes and no."""
    name, other = rng.sample(list(CATEGORIES), 2)
    word = rng.choice(members(name))
    stranger = rng.choice(members(other))
    same = rng.sample([m for m in members(name) if m != word], 2)
    odd = [*same, word, stranger] if len(members(name)) > 3 else [word, stranger]
    rng.shuffle(odd)
    asked = rng.choice([name, other])
    true = asked == name
    isnt = f"{'Yes' if true else 'No'}, {word} is {'' if true else 'not '}{article(asked)}."
    return rng.choice([
        Exchange(f"What kind of thing is {article(word)}?", name, f"{lexicon.capitalised(word)} is {article(name)}."),
        Exchange(f"Classify the word: {word}", name, f"{lexicon.capitalised(word)} is {article(name)}."),
        Exchange(f"Is {word} {article(name)} or {article(other)}?", name, f"{lexicon.capitalised(word)} is {article(name)}."),
        Exchange(f"Is {word} {article(asked)}?", "yes" if true else "no", isnt), Exchange(f"Yes or no: is {article(word)} {article(asked)}?", "yes" if true else "no", isnt),
        Exchange(f"Which word does not belong: {', '.join(odd)}?", stranger, f"The word {stranger} does not belong to the others."),
        Exchange(f"Name {article(name)}.", members(name)[0]), Exchange(f"What is {article(word)}?", article(name), f"{article(word).capitalize()} is {article(name)}."),
    ])  # fmt: skip


@SKILLS.of(2.5)
def sentiment(rng: random.Random) -> Exchange:
    """Ask whether a remark is positive or negative."""
    noun = rng.choice(
        [
            *rules()["dish"],
            *rules()["treasure"],
            *rules()["cloth"],
            "book",
            "film",
            "song",
            "hotel",
            "trip",
            "meal",
            "game",
        ]
    )
    table, answer = rng.choice([("praise", "positive"), ("blame", "negative")])
    text = lexicon.with_articles(
        rng.choice(lexicon.words(str(lexicon.table("facts")[table]))).replace("{noun}", noun)
    )
    q = rng.choice(
        [
            "Is this positive or negative? {}",
            "What is the sentiment of this text: {}",
            "Sentiment: {}",
        ]
    )
    return Exchange(q.format(text), answer, f"The text is {answer}.")
