"""Flat lists of numbers are read fast, and to the last bit as numpy reads them."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tinkex.errors import ValidationError
from tinkex.types import EncodedTextChunk, TensorData
from tinkex.types import flat as flat_module
from tinkex.types.flat import flat_array

INTEGERS = st.integers(-(2**63), 2**63 - 1)
FLOATS = st.floats(width=64, allow_nan=True, allow_infinity=True)
ODD = st.one_of(
    st.none(), st.booleans(), st.text(max_size=2), st.integers(), st.floats(), st.complex_numbers(),
    st.lists(st.integers(), max_size=2), st.just(np.float32(0.1)), st.just(np.int64(3)),
)  # fmt: skip


def slow(make: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return what is made, or the error, when nothing is read fast."""
    with monkeypatch.context() as patch:
        patch.setattr("tinkex.types.tensor.flat_array", lambda value, dtype=None: None)
        patch.setattr("tinkex.types.model_input.flat_ids", lambda value: None)
        return outcome(make)


def outcome(make: Any) -> Any:
    try:
        return make()
    except ValidationError as error:
        return str(error), error.path


@given(st.lists(INTEGERS, min_size=1))
def test_integers_are_int64(values: list[int]) -> None:
    """Every int64 is read exactly, of lists and tuples alike."""
    for given_as in (values, tuple(values)):
        array = flat_array(given_as)
        assert array is not None
        assert array.dtype == np.int64
        assert array.tolist() == values


@given(st.lists(FLOATS, min_size=1))
def test_floats_round_as_numpy_rounds_them(values: list[float]) -> None:
    """The nearest float32; NaN stays NaN, and what float32 cannot hold becomes infinite."""
    array = flat_array(values, "float32")
    with np.errstate(over="ignore"):
        expected = np.asarray(values).astype(np.float32)
    if array is None:
        # Since Python 3.14, `struct` refuses what rounds to infinity; numpy then converts it.
        assert np.isinf(expected[np.isfinite(values)]).any()
        return
    assert array.dtype == np.float32
    assert np.array_equal(array, expected, equal_nan=True)
    assert np.array_equal(np.signbit(array), np.signbit(expected))


@pytest.mark.parametrize(
    "value",
    [
        [], [True, False], [None], ["1"], [[1]], [1, 2.5], [2**63], [1.0, None], [np.int64(1)],
        {1: 2}, range(3), "12", np.arange(3), [1, "2"],
    ],
)  # fmt: skip
def test_everything_else_is_numpys_to_judge(value: Any) -> None:
    """A list that holds other things is not guessed at."""
    assert flat_array(value, "float32") is None


@given(
    values=st.lists(st.one_of(INTEGERS, FLOATS, ODD), max_size=6),
    dtype=st.sampled_from(["float32", "int64", None]),
)
def test_tensors_are_the_same_whichever_way_they_are_read(values: list[Any], dtype: Any) -> None:
    """Equal tensors, or the same error at the same place."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        fast, plain = (
            outcome(lambda: TensorData(values, dtype)),
            slow(lambda: TensorData(values, dtype), monkeypatch),
        )
    if any(type(value) is int and not -(2**63) <= value < 2**64 for value in values):
        # Among floats it is one of them; numpy alone makes an array of objects.
        assume(not isinstance(fast, TensorData))
    assert fast == plain
    if isinstance(fast, TensorData):
        assert fast.numpy().dtype == plain.numpy().dtype


def test_a_huge_integer_among_floats_is_one_of_them() -> None:
    """It is read as the float nearest to it, as everywhere in Python."""
    assert TensorData([0.5, 2**70]).tolist() == [0.5, float(2**70)]


@given(values=st.lists(st.one_of(st.integers(-3, 2**65), ODD), max_size=6))
def test_tokens_are_the_same_whichever_way_they_are_read(values: list[Any]) -> None:
    """Equal chunks, or the same error at the same place; and neither can be written to."""
    with pytest.MonkeyPatch.context() as monkeypatch:
        fast, plain = (
            outcome(lambda: EncodedTextChunk(values)),
            slow(lambda: EncodedTextChunk(values), monkeypatch),
        )
    assert fast == plain
    if isinstance(fast, EncodedTextChunk):
        assert not fast.numpy().flags.writeable


@pytest.mark.parametrize(("largest", "size"), [(2**31 - 1, 4), (2**31, 8), (2**63 - 1, 8)])
@pytest.mark.parametrize("make", [list, tuple, np.array], ids=["list", "tuple", "array"])
def test_tokens_take_four_bytes_each_unless_one_needs_more(
    make: Any, largest: int, size: int
) -> None:
    """A dataset of token ids takes half the memory; no id is changed by it."""
    chunk = EncodedTextChunk(make([0, largest, 7]))
    assert memoryview(chunk.buffer).itemsize == size
    assert chunk.tokens == [0, largest, 7]
    assert chunk.numpy().tolist() == [0, largest, 7]
    assert chunk.numpy().dtype == np.int64
    assert chunk == EncodedTextChunk([0, largest, 7])
    assert hash(chunk) == hash(EncodedTextChunk(np.array([0, largest, 7], np.uint64)))


@pytest.mark.parametrize("dtype", ["U1", "S1", "M8[s]", float, object, bool, np.uint64])
def test_no_tokens_are_no_tokens_whatever_the_arrays_dtype(dtype: Any) -> None:
    """An array without items tells nothing by its dtype."""
    assert EncodedTextChunk(np.array([], dtype)) == EncodedTextChunk([])


def test_what_only_converts_to_a_float_is_told_apart_where_it_comes_first() -> None:
    """A Fraction at the head of a list is no plain number."""
    assert flat_module.flat_array([Fraction(1, 2)], "float32") is None


class Indexed:
    """Turn into an integer where one is needed, as the scalars of other array packages do."""

    def __index__(self) -> int:
        return 2


class Floating:
    """Turn into a float where one is needed."""

    def __float__(self) -> float:
        return 2.0


@pytest.mark.parametrize(
    "values",
    [[1, Indexed()], [1.0, Floating()], [1.0, Indexed()], [1.0, Decimal(2)]],
    ids=lambda values: type(values[1]).__name__ + type(values[0]).__name__,
)
def test_what_only_converts_to_a_number_is_refused_wherever_it_stands(values: list[Any]) -> None:
    """An object after the first number is refused as it is at the head of a list."""
    for ordered in (values, values[::-1]):
        with pytest.raises(ValidationError, match="object"):
            TensorData(ordered)
        with pytest.raises(ValidationError, match="object"):
            EncodedTextChunk(ordered)
