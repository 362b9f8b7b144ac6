"""Spans that say where the tokens of a datum come from."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pytest

from tinkex.errors import ValidationError
from tinkex.types import Datum, ModelInput, PromptProvenanceSpan, SampledProvenanceSpan


def prompt(length: int, offset: int = 0) -> PromptProvenanceSpan:
    return PromptProvenanceSpan(sequence_id="s", offset=offset, length=length)


def sampled(length: int, offset: int = 0) -> SampledProvenanceSpan:
    return SampledProvenanceSpan(sequence_id="s", offset=offset, length=length)


def datum() -> Datum:
    return Datum(ModelInput.from_ints([5, 6, 7]), {"target_tokens": [6, 7, 8]})


def test_spans_are_attached_to_a_copy() -> None:
    """The datum itself stays as it is; the copy is equal by content, hashable and travels."""
    plain = datum()
    made = plain.with_provenance([prompt(2), sampled(1)], [prompt(1, offset=1), sampled(2)])
    assert plain.model_input_spans is None
    assert made.model_input_spans == (prompt(2), sampled(1))
    assert made.loss_fn_input_spans == (prompt(1, offset=1), sampled(2))
    again = plain.with_provenance((prompt(2), sampled(1)), (prompt(1, offset=1), sampled(2)))
    assert made == again
    assert made != plain
    assert hash(made) == hash(again)
    assert pickle.loads(pickle.dumps(made)) == made


@pytest.mark.parametrize(
    ("read", "targets", "path"),
    [
        ([prompt(2)], [sampled(3)], "model_input_spans: covers 2 tokens, but model_input has 3"),
        ([prompt(3)], [sampled(2), sampled(2)], "loss_fn_input_spans: covers 4 tokens"),
        ([prompt(3)], None, "model_input_spans and loss_fn_input_spans together"),
        ([prompt(3)], ["s"], r"\[0\]: must be a PromptProvenanceSpan"),
    ],
)
def test_spans_that_do_not_cover_the_tokens_are_refused(read: Any, targets: Any, path: str) -> None:
    """Each token belongs to exactly one span, and the two lists come together."""
    with pytest.raises(ValidationError, match=path):
        datum().with_provenance(read, targets)


def test_targets_with_several_columns_are_not_counted() -> None:
    """Spans are about one token for each position; other shapes are left to the server."""
    many = Datum(ModelInput.from_ints([5, 6]), {"target_tokens": np.ones((2, 3), np.int64)})
    assert many.with_provenance([prompt(2)], [sampled(1)]).loss_fn_input_spans == (sampled(1),)


@pytest.mark.parametrize("kind", [PromptProvenanceSpan, SampledProvenanceSpan])
@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"sequence_id": ""}, "sequence_id"),
        ({"sequence_id": None}, "sequence_id"),
        ({"offset": -1}, "offset"),
        ({"length": -1}, "length"),
        ({"length": True}, "length"),
        ({"length": 1.5}, "length"),
    ],
)
def test_a_span_that_cannot_be_right_is_refused(
    kind: Any, change: dict[str, Any], path: str
) -> None:
    """The error names the field."""
    with pytest.raises(ValidationError, match=path):
        kind(**{"sequence_id": "s", "length": 1, **change})


def test_numbers_of_numpy_become_plain_ones() -> None:
    """Lengths computed by numpy are taken."""
    span = SampledProvenanceSpan(sequence_id="s", offset=np.int64(2), length=np.int32(3))
    assert (type(span.offset), type(span.length)) == (int, int)
