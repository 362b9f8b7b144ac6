"""The shipped tokenizer loses nothing and knows the special tokens."""

import json

import pytest
from tokenizers import Tokenizer

TEXTS = [
    "Once upon a time there was a fox.",
    "  leading, trailing  and   inner blanks  ",
    "lines\n\n\nand\ttabs\r\n",
    "1234567890 3.14 -2 + 2 = 4",
    "naïve café, Straße, año, señor, ¿qué?",
    "日本語の文 и русский текст, ελληνικά, עברית",
    "🎉👩‍🚀 flags 🇫🇷 and \u200b zero width",
    "\x00\x01 control \x7f",
    "<b>tags</b> {\"json\": [1, 2]} `code` | <not_special|>",
    "",
]  # fmt: skip


@pytest.fixture(scope="module")
def tokenizer(folder):
    return Tokenizer.from_file(str(folder / "tokenizer.json"))


@pytest.mark.parametrize("text", TEXTS)
def test_text_comes_back_unchanged(tokenizer, text):
    """Decoding gives the text back, whatever the script."""
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text


def test_every_byte_has_a_token(tokenizer):
    """No text can be out of the vocabulary: there is no unknown token."""
    text = "".join(chr(i) for i in range(0x110000) if not 0xD800 <= i < 0xE000)[::0x101]
    assert tokenizer.decode(tokenizer.encode(text).ids, skip_special_tokens=False) == text
    assert tokenizer.model.unk_token is None


def test_the_vocabulary_has_the_size_of_the_config(folder, tokenizer):
    """The ids are 0 .. vocab_size - 1 without gaps."""
    config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    assert sorted(tokenizer.get_vocab().values()) == list(range(config["vocab_size"]))


def test_special_tokens_are_single_ids(tokenizer):
    """The ChatML marks are one token each and are left out of decoded text by default."""
    marks = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    assert [tokenizer.encode(mark).ids for mark in marks] == [[0], [1], [2]]
    assert tokenizer.decode(tokenizer.encode("a<|im_end|>b").ids) == "ab"


def test_digits_are_separate_tokens(tokenizer):
    """Numbers are read digit by digit, which keeps arithmetic and copying learnable."""
    assert tokenizer.encode("2048").tokens == ["2", "0", "4", "8"]


def test_roles_are_single_tokens(tokenizer):
    """Role names cost one token each in every message."""
    for role in ("system", "user", "assistant"):
        assert len(tokenizer.encode(role).ids) == 1


def test_english_takes_few_tokens(tokenizer):
    """Ordinary English needs at most one token for two characters."""
    text = "The old fisherman looked at the sea and thought about the long winter to come."
    assert len(tokenizer.encode(text).ids) <= len(text) / 2
