"""Sampled sequences, whether they hold arrays or lists."""

from __future__ import annotations

import pickle

import numpy as np

from tinkex.types import SampledSequence

LISTS = SampledSequence([5, 70_000], [-0.5, -1.25], "stop", "id")


def arrays() -> SampledSequence:
    return SampledSequence(
        np.array([5, 70_000], np.int32), np.array([-0.5, -1.25], np.float32), "stop", "id"
    )


def test_lists_are_lists_whatever_the_sequence_holds() -> None:
    """They are made once, of Python's own numbers."""
    held = arrays()
    assert held.tokens == [5, 70_000]
    assert held.logprobs == [-0.5, -1.25]
    assert {type(number) for number in held.tokens} == {int}
    assert held.tokens is held.tokens
    assert held.logprobs is held.logprobs


def test_sequences_are_compared_written_and_copied_by_their_numbers() -> None:
    """Whether a list was read before makes no difference."""
    assert arrays() == LISTS
    assert repr(arrays()) == repr(LISTS)
    assert arrays().to_dict() == LISTS.to_dict()
    assert pickle.loads(pickle.dumps(arrays())) == LISTS


def test_arrays_have_the_dtypes_of_the_wire_and_are_the_callers() -> None:
    """A change of the array does not reach the sequence."""
    for sequence in (arrays(), LISTS):
        tokens, logprobs = sequence.tokens_np, sequence.logprobs_np
        assert logprobs is not None
        assert (tokens.dtype, logprobs.dtype) == (np.int32, np.float32)
        tokens[0] = 0
        assert sequence.tokens == [5, 70_000]
    assert SampledSequence([1]).logprobs_np is None
