"""Stop strings in text that arrives token by token."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from tinkex.local.engine.stops import StopFinder

TEXT = "naïve café — 日本語 🙂 end"


@given(
    cuts=st.lists(st.integers(0, len(TEXT.encode())), max_size=30),
    stop=st.integers(0, len(TEXT) - 1).flatmap(
        lambda a: st.integers(a + 1, min(len(TEXT), a + 6)).map(lambda b: TEXT[a:b])
    ),
)
# Four tokens in a row that each end inside a character, though never in the same one.
@example(cuts=[3, 14, 15, 18], stop="fé — 日")
def test_stop_strings_are_found_however_text_is_cut(cuts: list[int], stop: str) -> None:
    """Tokens may cut characters in the middle; the stop is seen with the byte that completes it."""
    raw = TEXT.encode()
    edges = sorted({0, len(raw), *cuts})
    pieces = [raw[a:b] for a, b in pairwise(edges)]

    def decode(ids: Sequence[int]) -> str:
        return b"".join(pieces[i] for i in ids).decode(errors="replace")

    finder = StopFinder((stop,), decode)
    found = next(i for i in range(len(pieces)) if finder.feed(i))
    end = len(TEXT[: TEXT.index(stop) + len(stop)].encode())
    assert edges[found] < end <= edges[found + 1]


def test_invalid_bytes_do_not_hide_a_stop_string() -> None:
    """Bytes that never become characters delay nothing for long."""
    pieces = [b"\xff", b"\xff", b"\xff", b"\xff", b"\xff", b"S", b"TO", b"P"]
    finder = StopFinder(
        ("STOP",), lambda ids: b"".join(pieces[i] for i in ids).decode(errors="replace")
    )
    assert [finder.feed(i) for i in range(8)] == [False] * 7 + [True]
