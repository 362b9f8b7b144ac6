"""Decoding as tokens come: nothing half, nothing lost, nothing twice."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.extent import examples
from support.made_tokenizers import MAKERS, made
from tokenizers import Tokenizer as Backend
from tokenizers import decoders, models

from tinkex import get_tokenizer
from tinkex.tokenizer import IncrementalDecoder

ODD = "\N{REPLACEMENT CHARACTER}"
TEXTS = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]), st.sampled_from(" é你🙂👍🏽\u200d\n\ufffd")
    ),
    max_size=40,
)
IDS = st.lists(st.integers(0, 5000), max_size=60)


def pieces(decoder: IncrementalDecoder, ids: list[int]) -> list[str]:
    return [*(decoder.feed(token) for token in ids), decoder.finish()]


@pytest.mark.parametrize("kind", MAKERS)
@pytest.mark.parametrize("skip", [False, True], ids=["all", "skipping"])
@settings(max_examples=examples(150))
@given(numbers=IDS)
def test_the_pieces_of_any_ids_join_to_the_whole_text(
    kind: str, skip: bool, numbers: list[int]
) -> None:
    """Whatever a model samples, broken bytes included, the stream ends up with decode's text."""
    tokenizer = get_tokenizer(made(kind))
    ids = [number % (tokenizer.vocab_size + 3) for number in numbers]
    decoder = tokenizer.incremental_decoder(skip_special_tokens=skip)
    assert "".join(pieces(decoder, ids)) == tokenizer.decode(ids, skip_special_tokens=skip)


@pytest.mark.parametrize("kind", ["byte level", "byte fallback"])
@settings(max_examples=examples(150))
@given(text=TEXTS)
def test_no_piece_holds_half_a_character(kind: str, text: str) -> None:
    """A text without U+FFFD is streamed without U+FFFD, whole characters only."""
    tokenizer = get_tokenizer(made(kind))
    ids = tokenizer.encode(text, add_special_tokens=False)
    whole = tokenizer.decode(ids)
    got = pieces(tokenizer.incremental_decoder(), ids)
    assert "".join(got) == whole
    assert sum(piece.count(ODD) for piece in got) == whole.count(ODD)


@settings(max_examples=examples(60))
@given(data=st.binary(max_size=120))
def test_broken_bytes_are_streamed_as_decode_writes_them(data: bytes) -> None:
    """Byte after byte, UTF-8 or not, over any length."""
    tokenizer = get_tokenizer(made("byte level"))
    ids = [tokenizer.token_to_id(character) for character in _characters(data)]
    known = [id_ for id_ in ids if id_ is not None]
    assert len(known) == len(data)
    decoder = tokenizer.incremental_decoder()
    assert "".join(pieces(decoder, known)) == data.decode("utf-8", "replace")


def _characters(data: bytes) -> str:
    from tinkex.tokenizer.ranks import _BYTE_CHARACTERS

    return data.decode("latin-1").translate(_BYTE_CHARACTERS)


def test_a_character_comes_with_the_last_of_its_tokens() -> None:
    """An emoji of four byte tokens is one piece, and the text around it does not wait for it."""
    tokenizer = get_tokenizer(made("byte level"))
    ids = [tokenizer.token_to_id(c) for c in _characters("a🦜b".encode())]
    decoder = tokenizer.incremental_decoder()
    assert [decoder.feed(id_) for id_ in ids if id_ is not None] == ["a", "", "", "", "🦜", "b"]
    assert decoder.finish() == ""


def test_byte_tokens_wait_for_the_end_of_their_run() -> None:
    """Whether bytes are UTF-8 shows at the end of the run; all of a broken one is U+FFFD."""
    tokenizer = get_tokenizer(made("byte fallback"))
    decoder = tokenizer.incremental_decoder()
    parrot = [tokenizer.token_to_id(f"<0x{byte:02X}>") for byte in "🦜".encode()]
    word = tokenizer.token_to_id("t")
    got = [decoder.feed(id_) for id_ in (*parrot, word, *parrot[:3]) if id_ is not None]
    assert got == ["", "", "", "", "🦜t", "", "", ""]
    assert decoder.finish() == ODD * 3


def test_spaces_between_words_are_kept_though_a_leading_one_is_not() -> None:
    """Only the first space of the whole text belongs to the tokenizer, not that of each piece."""
    for kind in ("byte fallback", "unigram"):
        tokenizer = get_tokenizer(made(kind))
        ids = tokenizer.encode("the dog the dog the dog", add_special_tokens=False)
        got = pieces(tokenizer.incremental_decoder(), ids)
        assert "".join(got) == "the dog the dog the dog"
        assert not got[0].startswith(" ")


def test_several_tokens_at_once_are_one_piece() -> None:
    """feed takes what a server sends together."""
    tokenizer = get_tokenizer(made("byte level"))
    ids = tokenizer.encode("Grüße 🙂", add_special_tokens=False)
    decoder = tokenizer.incremental_decoder()
    assert decoder.feed(ids) + decoder.finish() == "Grüße 🙂"
    assert decoder.feed([]) == ""


def test_a_decoder_begins_again_after_the_end() -> None:
    """finish leaves nothing behind, also where a character was unfinished."""
    tokenizer = get_tokenizer(made("byte level"))
    decoder = tokenizer.incremental_decoder()
    half = tokenizer.token_to_id(_characters(b"\xc3"))
    assert half is not None
    assert decoder.feed(half) + decoder.finish() == ODD
    assert "".join(pieces(decoder, tokenizer.encode("Hi"))) == tokenizer.decode(
        tokenizer.encode("Hi")
    )


def test_a_long_stream_keeps_a_short_window() -> None:
    """What has been printed is forgotten, also in an endless run of broken bytes."""
    tokenizer = get_tokenizer(made("byte level"))
    decoder = tokenizer.incremental_decoder()
    stray = tokenizer.token_to_id(_characters(b"\x80"))
    assert stray is not None
    for token in [*tokenizer.encode("the quick brown fox " * 200), *[stray] * 2000]:
        decoder.feed(token)
        assert len(decoder._window) <= 40


def test_a_tokenizer_without_a_decoder_is_streamed_too() -> None:
    """The package joins such tokens by spaces."""
    backend = Backend(models.WordLevel({"a": 0, "b": 1, "[U]": 2}, unk_token="[U]"))
    assert backend.decoder is None
    assert "".join(pieces(IncrementalDecoder(backend), [0, 1, 2, 0])) == backend.decode(
        [0, 1, 2, 0]
    )
    backend.decoder = decoders.WordPiece()
    assert "".join(pieces(IncrementalDecoder(backend), [0, 1, 0])) == "a b a"
