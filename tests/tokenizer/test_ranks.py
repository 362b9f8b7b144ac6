"""tiktoken files: converted once, and id for id what the tiktoken package makes of them."""

from __future__ import annotations

import json
import multiprocessing
from pathlib import Path
from typing import Any

import pytest
import tiktoken
from hypothesis import given, settings
from hypothesis import strategies as st
from support.extent import ALL, examples
from support.made_tokenizers import CORPUS, kimi_config, trained_ranks, write_tiktoken

from tinkex.errors import TokenizerError
from tinkex.tokenizer import KIMI_PATTERN, Tokenizer, from_tiktoken, get_tokenizer, once, ranks

# The same rules in tiktoken's own syntax, contractions regardless of case.
REFERENCE_PATTERN = (
    r"[\p{Han}]+"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
    r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
PIECES = [
    "'s", "'S", "'\u017f", "'ll", "'LL", "'Ve", "don't", "I'M", "你好", "世界", "々", "〇", "あ", "漢字かな",
    "한국어", "ไทย", "1", "12345", "１２", "½", "Ⅻ", " ", "  ", "\t", "\n", "\r\n", "\u00a0", "\u3000",
    "\x85", "\u2028", "word", "Word", "WORD", "McX", "ǅ", "ʰ", "e\u0301", "\u0301", "ß", "Straße", "🙂",
    "👨‍👩‍👧", "\U0001f1e9", "!", "...", "/*", "<|", "|>", "<think>", "</think>", "<|im_end|>", "[BOS]", "[EOS]",
    "[PAD]", f"<|reserved_token_{len(trained_ranks()) + 5}|>", "\x00", "\ufffd", "\U0010ffff", "_", "-", "#", "\u200d",
]  # fmt: skip
# Whether a character that is newer than a package's Unicode is a letter is that package's guess; Cs cannot
# be encoded.
KNOWN = st.characters(exclude_categories=("Cn", "Cs"))
TEXTS = st.lists(st.one_of(st.sampled_from(PIECES), st.text(KNOWN, max_size=8)), max_size=20).map(
    "".join
)


def reference(ranked: dict[bytes, int], config: dict[str, Any]) -> tiktoken.Encoding:
    """Build tiktoken's encoding of the same tokens."""
    named = {int(i): token["content"] for i, token in config["added_tokens_decoder"].items()}
    first = len(ranked)
    special = {named.get(i, f"<|reserved_token_{i}|>"): i for i in range(first, first + 256)}
    return tiktoken.Encoding(
        "kimi", pat_str=REFERENCE_PATTERN, mergeable_ranks=ranked, special_tokens=special
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    trained = trained_ranks()
    return write_tiktoken(
        tmp_path_factory.mktemp("kimi") / "model", trained, kimi_config(len(trained))
    )


@pytest.fixture(scope="module")
def both(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Tokenizer, Any]:
    trained = trained_ranks()
    cache = tmp_path_factory.mktemp("converted")
    return (
        from_tiktoken(folder / "tiktoken.model", cache_dir=cache),
        reference(trained, kimi_config(len(trained))),
    )


@settings(max_examples=examples(400))
@given(text=TEXTS)
def test_ids_are_those_of_tiktoken(both: tuple[Tokenizer, Any], text: str) -> None:
    """Every text has the ids that the tiktoken package gives it, special tokens and all."""
    ours, theirs = both
    ids = theirs.encode(text, allowed_special="all")
    assert ours.encode(text) == ids
    assert ours.decode(ids) == theirs.decode(ids, errors="replace") == text


def test_ids_of_whole_documents_are_those_of_tiktoken(both: tuple[Tokenizer, Any]) -> None:
    """Also long texts, and words that are longer than any token."""
    ours, theirs = both
    for text in (*CORPUS, "\n".join(CORPUS), "a" * 3000, "ab" * 2000, "你" * 500, " " * 999):
        assert ours.encode(text) == theirs.encode(text, allowed_special="all")


def test_every_character_falls_into_the_same_class(both: tuple[Tokenizer, Any]) -> None:
    """Both engines know the same Unicode: no character is a letter in one and none in the other."""
    ours, theirs = both
    # Beyond the first two planes are rare ideographs, private use and characters to come.
    last = 0x110000 if ALL else 0x20000
    characters = [chr(n) for n in range(last) if not 0xD800 <= n < 0xE000]
    text = "a".join(characters[n : n + 1000][0] for n in range(0, len(characters), 1000))
    assert ours.encode(text) == theirs.encode_ordinary(text)
    for start in range(0, len(characters), 5000):
        # Each between letters and digits, so that its class decides where tokens may end.
        block = "".join(f"a{c}A{c}1{c} " for c in characters[start : start + 5000])
        assert ours.encode(block) == theirs.encode_ordinary(block), hex(start)


@settings(max_examples=examples(100))
@given(numbers=st.lists(st.integers(0, 2**16), max_size=30))
def test_any_ids_decode_as_with_tiktoken(both: tuple[Tokenizer, Any], numbers: list[int]) -> None:
    """Ids in any order, of which bytes may be no UTF-8, give the same text."""
    ours, theirs = both
    ids = [number % ours.vocab_size for number in numbers]
    assert ours.decode(ids) == theirs.decode(ids, errors="replace")


@settings(max_examples=examples(60))
@given(st.data())
def test_tables_that_no_training_made_are_read_alike(data: st.DataObject) -> None:
    """Tokens in any order of ranks, also such that no two tokens make, are merged as by tiktoken."""
    words = st.text("abc", min_size=2, max_size=5).map(str.encode)
    longer = data.draw(st.lists(words, unique=True, max_size=12))
    order = data.draw(st.permutations([*(bytes([byte]) for byte in b"abc "), *longer]))
    ranked = {token: rank for rank, token in enumerate(order)}
    special = [(f"<{n}>", True) for n in range(2)]
    ours = ranks.tokenizers.Tokenizer.from_buffer(ranks._converted(ranked, special, KIMI_PATTERN))
    theirs = tiktoken.Encoding(
        "any", pat_str=REFERENCE_PATTERN, mergeable_ranks=ranked, special_tokens={}
    )
    for text in data.draw(st.lists(st.text("abc ", max_size=14), min_size=1, max_size=10)):
        assert ours.encode(text).ids == theirs.encode_ordinary(text)


def test_the_offline_example_of_the_specification(tmp_path: Path) -> None:
    """Six ranks and one named token: 'Say hi' is 0 to 5, and the special token comes first."""
    tokens = {token.encode(): rank for rank, token in enumerate("Say hi")}
    config = {"added_tokens_decoder": {"6": {"content": "<|bos|>"}}}
    write_tiktoken(tmp_path, tokens, config)
    tokenizer = get_tokenizer(tmp_path, offline=True)
    assert tokenizer.encode("Say hi") == [0, 1, 2, 3, 4, 5]
    assert tokenizer.encode("<|bos|>Say") == [6, 0, 1, 2]
    assert tokenizer.decode([6, 0, 1, 2]) == "<|bos|>Say"
    assert tokenizer.decode([6, 0, 1, 2], skip_special_tokens=True) == "Say"
    assert tokenizer.vocab_size == 6 + 256
    assert tokenizer.id_to_token(7) == "<|reserved_token_7|>"
    assert not (tmp_path / "ran").exists()


def test_tokens_that_are_not_special_are_kept_when_special_ones_are_skipped(folder: Path) -> None:
    """<think> is a token of its own, and part of the text."""
    tokenizer = get_tokenizer(folder)
    ids = tokenizer.encode("<think>so</think><|im_end|>")
    assert [tokenizer.id_to_token(ids[0]), len(tokenizer.encode("<think>"))] == ["<think>", 1]
    assert tokenizer.decode(ids, skip_special_tokens=True) == "<think>so</think>"
    assert (tokenizer.bos_token, tokenizer.eos_token, tokenizer.pad_token_id) == (
        "[BOS]",
        "[EOS]",
        len(trained_ranks()) + 255,
    )
    assert tokenizer.chat_template is not None


def test_a_conversion_is_made_once_and_kept(
    folder: Path, caches: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next process reads the result; a damaged one is made anew."""
    first = get_tokenizer(folder).encode("Grüße")
    [kept] = (caches / "tinkex" / "tokenizers").glob("*[!k]")
    once.forget()
    monkeypatch.setattr(ranks, "_converted", lambda *_: pytest.fail("it was kept"))
    assert get_tokenizer(folder).encode("Grüße") == first
    monkeypatch.undo()
    monkeypatch.setenv("TINKEX_CACHE_DIR", str(caches / "tinkex"))
    kept.write_bytes(kept.read_bytes()[:-1000])
    once.forget()
    assert get_tokenizer(folder).encode("Grüße") == first


def test_another_pattern_or_another_name_is_another_conversion(folder: Path) -> None:
    """What is kept for one set of rules is not taken for another."""
    file = folder / "tiktoken.model"
    usual, single = from_tiktoken(file), from_tiktoken(file, pattern=r"[\s\S]")
    assert len(single.encode("brown fox")) == 9 > len(usual.encode("brown fox"))


def test_a_cache_that_cannot_be_written_is_no_obstacle(folder: Path, tmp_path: Path) -> None:
    """The conversion is then made each time."""
    blocked = tmp_path / "file"
    blocked.write_text("")
    assert from_tiktoken(folder / "tiktoken.model", cache_dir=blocked).encode("fox")


def _convert(folder: str, cache: str, answers: Any) -> None:
    tokenizer = from_tiktoken(Path(folder) / "tiktoken.model", cache_dir=cache)
    answers.put(tokenizer.encode("the quick brown fox"))


def test_processes_that_convert_at_once_agree(folder: Path, tmp_path: Path) -> None:
    """Four processes start on an empty cache; all read the same, and nothing half-made stays."""
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    workers = [
        context.Process(target=_convert, args=(str(folder), str(tmp_path / "c"), answers))
        for _ in range(4)
    ]
    for worker in workers:
        worker.start()
    got = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    assert got == [from_tiktoken(folder / "tiktoken.model").encode("the quick brown fox")] * 4
    assert not list(tmp_path.glob("c/tokenizers/.*.????????"))


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (b"", "do not count"),
        (b"YQ==", "line 1"),
        (b"YQ== 0\nYg== one", "line 2"),
        (b"YQ== 0\n??== 1", "line 2"),
        (b"YQ== 0\nYg== 2", "do not count"),
        (b"YQ== 0\nYg== 0", "do not count"),
        (b"YQ== 0\nYQ== 1", "do not count"),
        (b"<html>\n", "line 1"),
    ],
)
def test_a_malformed_tiktoken_file_is_told_by_its_line(
    tmp_path: Path, lines: bytes, said: str
) -> None:
    """Each way of being wrong has its sentence, with the file."""
    file = tmp_path / "tiktoken.model"
    file.write_bytes(lines)
    with pytest.raises(TokenizerError, match=said) as caught:
        get_tokenizer(tmp_path)
    assert str(file) in str(caught.value)


@pytest.mark.parametrize(
    ("decoder", "said"),
    [
        ({"5": {"content": "x"}}, "room from 6 to 261"),
        ({"262": {"content": "x"}}, "room from 6 to 261"),
        ({"6": {"content": "x"}, "7": {"content": "x"}}, "the same"),
        ({"six": {"content": "x"}}, "added_tokens_decoder"),
        ({"6": "x"}, "added_tokens_decoder"),
    ],
)
def test_special_tokens_that_do_not_fit_the_ranks_are_refused(
    tmp_path: Path, decoder: dict[str, Any], said: str
) -> None:
    """A configuration of another model is not taken."""
    tokens = {token.encode(): rank for rank, token in enumerate("Say hi")}
    write_tiktoken(tmp_path, tokens, {"added_tokens_decoder": decoder})
    with pytest.raises(TokenizerError, match=said):
        get_tokenizer(tmp_path)


def test_a_tiktoken_file_of_an_unknown_class_is_refused(tmp_path: Path) -> None:
    """What its regular expression is stands only in code, which is never run."""
    tokens = {token.encode(): rank for rank, token in enumerate("Say hi")}
    write_tiktoken(tmp_path, tokens, {"tokenizer_class": "OtherTokenizer"})
    with pytest.raises(TokenizerError, match=r"OtherTokenizer.*from_tiktoken\(file, pattern"):
        get_tokenizer(tmp_path)
    named = from_tiktoken(tmp_path / "tiktoken.model", pattern=r"[\s\S]+")
    assert named.encode("Say") == [0, 1, 2]
    assert not (tmp_path / "ran").exists()


def test_a_configuration_that_was_named_must_be_there(folder: Path, tmp_path: Path) -> None:
    """A mistyped path is no reason to go without names."""
    with pytest.raises(TokenizerError, match=r"there is no .*missing\.json"):
        from_tiktoken(folder / "tiktoken.model", tmp_path / "missing.json")
    elsewhere = tmp_path / "named.json"
    first = len(trained_ranks())
    elsewhere.write_text(json.dumps({"added_tokens_decoder": {first: {"content": "<|other|>"}}}))
    assert from_tiktoken(folder / "tiktoken.model", elsewhere).encode("<|other|>") == [first]
