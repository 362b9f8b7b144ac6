"""Server-sent events are read however their bytes are cut."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinkex._core.wire.events import EventDecoder, ServerSentEvent

STREAM = (
    "\ufeff: a comment\r\n\r\n"
    "data: one\r\n\r\n"
    "event: token\ndata: two\ndata:  three \ndata\nid: 7\nretry: 10\nunknown: x\n\n"
    "data: vier \u00fc\u2028\r\r"
    ": only a comment\n\n"
    'data: {"index": 0}\n\n'
    "data: never finished"
).encode()
EVENTS = [
    ServerSentEvent("one"),
    ServerSentEvent("two\n three \n", "token", "7"),
    ServerSentEvent("vier \u00fc\u2028", "message", "7"),
    ServerSentEvent('{"index": 0}', "message", "7"),
]


def decode(pieces: list[bytes]) -> list[ServerSentEvent]:
    decoder = EventDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


def test_a_stream_is_read_as_the_standard_has_it() -> None:
    """All three line ends, comments, joined data, kinds and ids; an unfinished event is none."""
    assert decode([STREAM]) == EVENTS


@given(st.lists(st.integers(0, len(STREAM)), max_size=30))
def test_the_cuts_do_not_matter(cuts: list[int]) -> None:
    """Cut anywhere, also inside a character or a line end, the events are the same."""
    edges = [0, *sorted(cuts), len(STREAM)]
    pieces = [STREAM[a:b] for a, b in itertools.pairwise(edges)]
    assert decode(pieces) == EVENTS


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_an_event_is_there_as_soon_as_its_blank_line_is(end: bytes) -> None:
    """No byte of the next event is needed to give out this one."""
    decoder = EventDecoder()
    assert decoder.feed(b"data: x" + end) == []
    assert decoder.feed(end) == [ServerSentEvent("x")]


def test_byte_by_byte_is_no_different() -> None:
    """One byte at a time gives the same events."""
    assert decode([STREAM[i : i + 1] for i in range(len(STREAM))]) == EVENTS
