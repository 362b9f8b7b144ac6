"""The hand-written types as JSON, and back."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from tinkex import types
from tinkex.errors import ValidationError
from tinkex.tinker import types as foreign

TENSOR = types.TensorData([[1.0, 2.0]], "float32")
PROMPT = types.ModelInput.from_ints([1, 2]).append(types.ImageChunk(b"abc", "png", 3))
SEQUENCE = types.SampledSequence([4], [-0.5], "stop", "id", [[(4, -0.5)], None])
OBJECTS: list[Any] = [
    PROMPT,
    types.ModelInput((types.DmelChunk(b"\x00\x01\x05"), types.ImageAssetPointerChunk("x", "png"))),
    types.Datum(PROMPT, {"weights": [1.0] * 5}).with_provenance(
        [types.PromptProvenanceSpan(sequence_id="s", length=5)],
        [types.SampledProvenanceSpan(sequence_id="s", offset=1, length=5)],
    ),
    types.AdamParams(learning_rate=0.5),
    types.DimuonParams(learning_rate=0.5),
    types.LoraConfig(rank=4, seed=3),
    types.SamplingParams(max_tokens=3, stop=["a", "b"]),
    types.ForwardBackwardOutput("T", [{"logprobs": TENSOR}], {"loss:sum": 1.0}),
    types.SampleResponse(
        [SEQUENCE],
        [None, -1.0],
        [None, [(1, -1.0)]],
        2,
        TENSOR,
        types.PromptAltTokens(TENSOR, TENSOR),
    ),
    TENSOR,
]


@pytest.mark.parametrize("value", OBJECTS, ids=lambda value: type(value).__name__)
def test_an_object_survives_the_way_through_json(value: Any) -> None:
    """What is written is plain JSON, and reads as an equal object."""
    text = json.dumps(value.to_dict())
    assert type(value).from_dict(json.loads(text)) == value


def test_a_chunk_without_its_type_is_what_has_its_fields() -> None:
    """The first releases of the API wrote none."""
    read = types.ModelInput.from_dict(
        {"chunks": [{"tokens": [1]}, {"location": "x", "format": "png"}]}
    )
    assert [chunk.type for chunk in read.chunks] == ["encoded_text", "image_asset_pointer"]


@pytest.mark.parametrize(
    ("kind", "data", "said"),
    [
        (types.AdamParams, {"lr": 1.0}, "lr: is no field of AdamParams"),
        (types.AdamParams, [1], "must be a dict"),
        (types.DimuonParams, {}, "is no DimuonParams"),
        (types.ModelInput, {"chunks": [{"type": "video"}]}, "type: must be one of"),
        (types.TensorData, {"dtype": "int64"}, "must be a dict of data"),
    ],
)
def test_what_has_another_form_is_refused(kind: Any, data: Any, said: str) -> None:
    """With the name of what is wrong."""
    with pytest.raises(ValidationError, match=said):
        kind.from_dict(data)


def test_a_sparse_matrix_keeps_its_form() -> None:
    """Its cells are listed on the wire, and written out for numpy."""
    dense = np.zeros((3, 50), np.int64)
    dense[1, 4] = 9
    listed = types.TensorData(
        [9], "int64", [3, 50], sparse_crow_indices=[0, 0, 1, 1], sparse_col_indices=[4]
    )
    assert (listed.numpy() == dense).all()
    assert listed.data == [9]
    assert listed == types.TensorData(dense)
    assert types.TensorData.from_dict(listed.to_dict()).csr is not None


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"sparse_col_indices": None}, "go together"),
        ({"sparse_col_indices": [50]}, "sparse_col_indices"),
        ({"sparse_crow_indices": [0, 1]}, "sparse_crow_indices"),
        ({"shape": None}, "dense 2-D shape"),
    ],
)
def test_parts_that_make_no_matrix_are_refused(change: dict[str, Any], said: str) -> None:
    """Before anything is sent."""
    parts = {"sparse_crow_indices": [0, 0, 1, 1], "sparse_col_indices": [4], "shape": [3, 50]}
    with pytest.raises(ValidationError, match=said):
        types.TensorData([9], "int64", **{**parts, **change})


MASKED = np.ma.masked_array([1, 2], mask=[False, True])


@pytest.mark.parametrize(
    "make",
    [
        lambda: types.TensorData(MASKED),
        lambda: types.TensorData([MASKED, MASKED]),
        lambda: types.EncodedTextChunk(MASKED),
        lambda: types.ModelInput.from_ints(MASKED),
        lambda: types.Datum(types.ModelInput.from_ints([1, 2]), {"target_tokens": MASKED}),
        lambda: foreign.TensorData.from_numpy(MASKED),
        lambda: foreign.Datum(foreign.ModelInput.from_ints([1, 2]), {"target_tokens": MASKED}),
    ],
)
def test_a_masked_array_is_refused(make: Any) -> None:
    """Its mask would be lost without a word; one without masked cells is an array."""
    with pytest.raises(ValueError, match="masked array"):
        make()
    assert types.TensorData(np.ma.masked_array([1.0])).tolist() == [1.0]


def test_a_sample_response_says_what_it_is() -> None:
    """As each record on the wire does, by the name that everybody else has."""
    response = types.SampleResponse([types.SampledSequence([1])])
    assert response.type == response.to_dict()["type"] == "sample"
    for name in types.__all__:
        kind = getattr(types, name)
        assert hasattr(kind, "type") or not hasattr(kind, "type_"), name
