"""The corpus generator is deterministic and writes what it says."""

import json
import random
import re
from collections import Counter

import pytest


@pytest.fixture(scope="module")
def sample(corpus):
    return list(corpus.documents("train", 3_000))


def test_a_document_depends_on_seed_split_and_index_alone(corpus, sample):
    """Any document can be rebuilt without those before it."""
    assert corpus.document("train", 2_999) == sample[2_999]
    assert list(corpus.documents("train", 5, start=100)) == sample[100:105]
    assert corpus.document("train", 7, seed=1) != sample[7]


def test_the_splits_differ(corpus, sample):
    """Held-out documents are others than those of the training split."""
    held_out = list(corpus.documents("valid", 300))
    long = {text for text in sample if len(text) > 200}
    assert not long.intersection(held_out)


def test_an_unknown_split_is_refused(corpus):
    """A misspelt split does not silently give other text."""
    with pytest.raises(ValueError, match="split is 'test'"):
        corpus.document("test", 0)


def test_about_three_fifths_of_the_documents_are_conversations(corpus, sample):
    """The mix has the documented share of chat."""
    share = sum(text.startswith("<|im_start|>") for text in sample) / len(sample)
    assert share == pytest.approx(corpus.CHAT_SHARE, abs=0.03)


def test_every_rule_is_expanded(sample):
    """No slot, choice or capital mark of the grammar is left in prose."""
    for text in sample:
        if not text.startswith("<|im_start|>"):
            assert not re.search(r"[{}^\[\]]", text), text


def test_the_vocabulary_is_wide(sample):
    """The prose uses more than two thousand different words."""
    prose = " ".join(text for text in sample if not text.startswith("<|im_start|>"))
    assert len(set(re.findall(r"[a-z]+", prose.lower()))) > 2_000


def test_prose_hardly_repeats_itself(sample):
    """Nearly all stories are different from each other."""
    prose = [text for text in sample if not text.startswith("<|im_start|>") and len(text) > 300]
    assert len(set(prose)) == len(prose)


def test_conversations_are_well_formed(sample):
    """Messages open and close, users and assistants alternate, and a system message comes first or not at all."""
    turn = re.compile(r"<\|im_start\|>(system|user|assistant)\n(.*?)<\|im_end\|>\n", re.DOTALL)
    for text in sample:
        if text.startswith("<|im_start|>"):
            roles = [found[1] for found in turn.finditer(text)]
            assert turn.sub("", text) == ""
            if roles[0] == "system":
                roles = roles[1:]
            assert roles == ["user", "assistant"] * (len(roles) // 2)


def test_there_are_many_kinds_of_questions(chat):
    """At least thirty kinds are registered, and each draws."""
    assert len(chat.KINDS) >= 30
    for name, (kind, weight) in chat.KINDS.items():
        exchanges = [kind(random.Random(seed)) for seed in range(20)]
        assert weight > 0
        assert all(e.question and e.answer for e in exchanges), name


def test_the_arithmetic_is_right(chat):
    """The answers of the generated sums are their results."""
    for seed in range(200):
        exchange = chat.KINDS["add"][0](random.Random(seed))
        numbers = [int(n) for n in re.findall(r"\d+", exchange.question)]
        assert int(exchange.answer) == sum(numbers)


def test_copying_tasks_contain_their_answer(chat):
    """What is to be repeated stands in the question word by word."""
    for seed in range(200):
        exchange = chat.KINDS["repeat"][0](random.Random(seed))
        assert exchange.answer in exchange.question


def test_facts_do_not_contradict_each_other(questions):
    """One question of a table of facts has one answer."""
    for table in (
        "capital",
        "colour_of",
        "opposite",
        "sound",
        "young",
        "legs",
        "made_of",
        "french",
        "german",
        "spanish",
    ):
        asked = Counter(question for question, _ in questions.pairs(table))
        assert max(asked.values()) == 1, (table, asked.most_common(1))


def test_json_replies_parse(chat):
    """Replies in the JSON style are valid JSON."""
    found = 0
    for seed in range(2_000):
        messages = chat.conversation(random.Random(seed))
        if (
            "Reply as JSON with the key " in messages[0]["content"]
            and messages[0]["role"] == "system"
        ):
            for message in messages:
                if message["role"] == "assistant":
                    json.loads(message["content"])
                    found += 1
    assert found > 20


@pytest.mark.parametrize(
    ("word", "inflection", "expected"),
    [
        ("fox", "s", "foxes"), ("berry", "s", "berries"), ("wolf", "s", "wolves"), ("town hall", "s", "town halls"), ("monkey", "s", "monkeys"),
        ("carry", "ed", "carried"), ("stop", "ed", "stopped"), ("go", "ed", "went"), ("bake", "ed", "baked"), ("pick up", "ed", "picked up"),
        ("bake", "ing", "baking"), ("lie", "ing", "lying"), ("run", "ing", "running"), ("see", "ing", "seeing"),
        ("big", "er", "bigger"), ("happy", "est", "happiest"), ("wide", "er", "wider"), ("beautiful", "er", "more beautiful"),
    ],
)  # fmt: skip
def test_words_are_inflected(lexicon, word, inflection, expected):
    """The inflection rules give the usual forms."""
    assert lexicon.INFLECTIONS[inflection](word) == expected


def test_articles_follow_the_sound(lexicon):
    """A vowel sound takes "an"."""
    text = "a apple, a unicorn, a umbrella, A owl, a hour, a useful tool"
    assert (
        lexicon.with_articles(text)
        == "an apple, a unicorn, an umbrella, An owl, an hour, a useful tool"
    )
