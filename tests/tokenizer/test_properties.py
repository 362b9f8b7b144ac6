"""What holds for every text: round trips, and special tokens that stay whole."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.extent import examples
from support.made_tokenizers import MAKERS, made

from tinkex import Tokenizer, get_tokenizer

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=60)
LOSSLESS = ["byte level", "byte fallback", "tiny-chat"]


def tokenizer_of(kind: str) -> Tokenizer:
    return get_tokenizer("tinkex/tiny-chat" if kind == "tiny-chat" else made(kind))


@pytest.mark.parametrize("kind", LOSSLESS)
@settings(max_examples=examples(200))
@given(text=TEXT)
def test_every_text_comes_back(kind: str, text: str) -> None:
    """Encoding and decoding loses no character of Unicode."""
    tokenizer = tokenizer_of(kind)
    ids = tokenizer.encode(text, add_special_tokens=False)
    if kind == "byte fallback":
        # It writes spaces as U+2581, so that one is read back as a space.
        text = text.replace("\N{LOWER ONE EIGHTH BLOCK}", " ")
    assert tokenizer.decode(ids) == text
    assert all(0 <= id_ < tokenizer.vocab_size for id_ in ids)


@settings(max_examples=examples(100))
@given(text=st.text("thequickbrownfxjmpsvlazydg ", max_size=40))
def test_known_letters_come_back_from_a_unigram_model(text: str) -> None:
    """A model without bytes gives back its words; the frame is skipped."""
    tokenizer = tokenizer_of("unigram")
    text = " ".join(text.split())
    assert tokenizer.decode(tokenizer.encode(text), skip_special_tokens=True) == text


@pytest.mark.parametrize("kind", [*MAKERS, "tiny-chat"])
@settings(max_examples=examples(80))
@given(parts=st.lists(st.one_of(TEXT, st.integers(0, 9)), max_size=8))
def test_special_tokens_are_one_id_wherever_they_stand(kind: str, parts: list[str | int]) -> None:
    """As many as the text holds, in its order; what skips them leaves the rest."""
    tokenizer = tokenizer_of(kind)
    special = list(tokenizer.special_tokens)
    written = [p if isinstance(p, str) else special[p % len(special)] for p in parts]
    ids = tokenizer.encode("".join(written), add_special_tokens=False)
    named = [tokenizer.special_tokens[w] for w, p in zip(written, parts, strict=True) if p != w]
    found = [id_ for id_ in ids if id_ in tokenizer.special_tokens.values()]
    if kind in ("byte level", "tiny-chat"):
        assert found == named
        rest = "".join(part for part in parts if isinstance(part, str))
        assert tokenizer.decode(ids, skip_special_tokens=True) == rest
    else:
        # Unknown characters become a special token, <unk>.
        unknown = tokenizer.token_to_id("<unk>")
        assert [i for i in found if i != unknown] == [i for i in named if i != unknown]


@pytest.mark.parametrize("kind", [*MAKERS, "tiny-chat"])
@settings(max_examples=examples(80))
@given(texts=st.lists(TEXT, max_size=6))
def test_a_batch_is_its_texts_one_by_one(kind: str, texts: list[str]) -> None:
    """Neither encoding nor decoding depends on what else is in the batch."""
    tokenizer = tokenizer_of(kind)
    ids = tokenizer.encode_batch(texts)
    assert ids == [tokenizer.encode(text) for text in texts]
    assert ids == [tokenizer.backend.encode(text).ids for text in texts]
    assert tokenizer.decode_batch(ids) == [tokenizer.decode(row) for row in ids]
