"""Batches are cut into requests of bounded size, in order and without empty ones."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinkex._core.wire.binary import forward_backward_body
from tinkex._core.wire.chunking import binary_bytes, chunk_data, estimate_bytes
from tinkex.types import (
    Datum,
    DmelChunk,
    EncodedTextChunk,
    ImageAssetPointerChunk,
    ImageChunk,
    ModelInput,
)


def text(tokens: int) -> Datum:
    return Datum(ModelInput.from_ints(np.zeros(tokens, int)))


def image(size: int) -> Datum:
    return Datum(ModelInput([ImageChunk(bytes(size), "png")]))


@pytest.mark.parametrize(
    ("data", "sizes"),
    [
        ([], []),
        ([text(1)] * 1024, [1024]),
        ([text(1)] * 1025, [1024, 1]),
        ([text(10_000)] * 51, [50, 1]),
        ([text(60_000)] * 9, [8, 1]),
        ([image(2_000_000), image(2_000_000), text(10)], [3]),
        ([image(2_000_000), image(2_000_000), text(10), image(2_000_000)], [3, 1]),
        ([text(600_000)], [1]),
        ([text(600_000), text(1)], [1, 1]),
        ([text(1), text(600_000), text(1)], [1, 1, 1]),
    ],
    ids=lambda value: repr(value) if value and isinstance(value[0], int) else "data",
)
def test_batches_are_cut_where_the_limits_say(data: list[Datum], sizes: list[int]) -> None:
    """1,024 data or about 5 MB make a chunk, a giant datum is one alone, none is empty."""
    assert [len(chunk) for chunk in chunk_data(data)] == sizes


def test_sizes_are_estimated_without_expected_tokens() -> None:
    """Ten bytes for each number, an image's own bytes, a pointer's text."""
    datum = Datum(
        ModelInput([ImageChunk(bytes(100), "png"), ImageAssetPointerChunk("x" * 7, "png")]),
        {"weights": [0.0, 1.0]},
    )
    assert estimate_bytes(datum) == 100 + 7 + 20
    assert estimate_bytes(text(3)) == 30


def test_the_binary_form_is_measured_by_what_it_holds() -> None:
    """Four bytes for a token, images' and audio's own, and the arrays as they lie in memory."""
    datum = Datum(
        ModelInput(
            [EncodedTextChunk([1, 2, 3]), ImageChunk(bytes(100), "png"), DmelChunk(b"\0\1\7...")]
        ),
        {"own": np.zeros((2, 3), np.float32), "ids": np.zeros(5, np.int64)},
    )
    assert binary_bytes(datum) == 3 * 4 + 100 + 6 + 6 * 4 + 5 * 8
    written = forward_backward_body([datum], 0, "cross_entropy", None).size
    assert 0 <= written - binary_bytes(datum) < 120
    assert [len(chunk) for chunk in chunk_data([datum] * 3, 9, 400, binary_bytes)] == [2, 1]


@given(st.lists(st.integers(0, 60), max_size=40), st.integers(1, 8), st.integers(1, 400))
def test_chunks_are_the_batch_in_order_and_within_the_limits(
    lengths: list[int], max_len: int, max_bytes: int
) -> None:
    """Joined, chunks are the batch; each is non-empty, within limits or a single datum, and full."""
    data = [text(length) for length in lengths]
    chunks = chunk_data(data, max_len, max_bytes)
    assert [id(datum) for chunk in chunks for datum in chunk] == [id(datum) for datum in data]
    sizes = [sum(map(estimate_bytes, chunk)) for chunk in chunks]
    for chunk, size in zip(chunks, sizes, strict=True):
        assert 1 <= len(chunk) <= max_len
        assert size <= max_bytes or len(chunk) == 1
    for i in range(len(chunks) - 1):
        first = estimate_bytes(chunks[i + 1][0])
        assert len(chunks[i]) == max_len or sizes[i] + first > max_bytes
