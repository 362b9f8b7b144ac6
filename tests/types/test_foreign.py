"""Objects of other packages, taken by their attributes."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from support.nano import nano_service

import tinkex
from tinkex import types
from tinkex.errors import ValidationError
from tinkex.tinker import types as foreign
from tinkex.types.foreign import datum_of, model_input_of, settings_of

__all__ = ["nano_service"]

SPAN = foreign.SampledProvenanceSpan(sequence_id="s", length=3)
DATUM = foreign.Datum(
    foreign.ModelInput.from_ints([1, 2, 3]),
    {"target_tokens": [2, 3, 4], "weights": np.ones(3, np.float32)},
).with_provenance([SPAN], [SPAN])


def test_an_example_becomes_ours() -> None:
    """With its tensors and spans."""
    datum = datum_of(DATUM, "data[0]")
    assert datum.model_input == types.ModelInput.from_ints([1, 2, 3])
    assert datum.loss_fn_inputs["weights"].tolist() == [1.0, 1.0, 1.0]
    assert datum.model_input_spans == (types.SampledProvenanceSpan(sequence_id="s", length=3),)


@pytest.mark.parametrize(
    "chunk",
    [
        foreign.ImageChunk(data=b"abc", format="png", expected_tokens=4),
        foreign.ImageAssetPointerChunk(format="jpeg", location="s3://a", expected_tokens=2),
        foreign.DmelChunk(dmel=b"\x00\x01\x05"),
        foreign.EncodedTextChunk(tokens=[7]),
    ],
    ids=lambda chunk: chunk.type,
)
def test_each_type_of_chunk_becomes_ours(chunk: Any) -> None:
    """By the name that it says of itself."""
    found = model_input_of(foreign.ModelInput(chunks=[chunk]), "prompt")
    assert found.chunks[0].type == chunk.type
    assert found.length == chunk.length


def test_settings_become_ours_if_they_have_all_of_them() -> None:
    """And the message names what was given otherwise."""
    params = foreign.SamplingParams(max_tokens=4, stop=["a"], temperature=0.5)
    assert settings_of(params, types.SamplingParams, "x") == types.SamplingParams(
        max_tokens=4, stop=["a"], temperature=0.5
    )
    with pytest.raises(
        ValidationError, match=r"adam_params: must be AdamParams\(...\), not a dict"
    ):
        settings_of({"learning_rate": 1.0}, types.AdamParams, "adam_params")


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (3, r"data\[0\]: is a int, not a Datum"),
        (SimpleNamespace(model_input=3, loss_fn_inputs={}), r"data\[0\].model_input: must be a"),
        (
            SimpleNamespace(model_input=SimpleNamespace(chunks=[3]), loss_fn_inputs={}),
            r"data\[0\].model_input.chunks\[0\]: is a int, not a chunk",
        ),
    ],
)
def test_what_is_none_is_named(value: Any, said: str) -> None:
    """With its place."""
    with pytest.raises(ValidationError, match=said):
        datum_of(value, "data[0]")


def test_our_clients_take_them(nano_service: tinkex.ServiceClient) -> None:
    """Training, its settings, sampling; a program need not convert what a library gave it."""
    training = nano_service.create_lora_training_client("tinkex/nano", rank=4)
    plain = foreign.Datum(DATUM.model_input, DATUM.loss_fn_inputs)
    output, step = training.train_step([plain], "cross_entropy", foreign.AdamParams())  # type: ignore[arg-type]
    assert output.result().loss > 0
    step.result()
    sampler = training.save_weights_and_get_sampling_client()
    params = foreign.SamplingParams(max_tokens=2)
    response = sampler.sample(DATUM.model_input, 1, params).result()  # type: ignore[arg-type]
    assert len(response.sequences[0].tokens) <= 2
