"""The bytes of requests, as the service's own SDK writes them (shared wire examples, 0.38.0)."""

from __future__ import annotations

import json
from typing import Any

import httpx
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.scripted import Script, promises, scripted_service

from tinkex._core.wire import encode
from tinkex.errors import ValidationError
from tinkex.types import (
    AdamParams,
    Datum,
    EncodedTextChunk,
    ImageAssetPointerChunk,
    ImageChunk,
    ModelInput,
    PromptProvenanceSpan,
    SampledProvenanceSpan,
    SamplingParams,
    TensorData,
)

OUTPUT = {
    "loss_fn_output_type": "TorchLossReturn",
    "loss_fn_outputs": [
        {"logprobs": {"data": [-1.5, -0.5, -0.25], "dtype": "float32", "shape": [3]}}
    ],
    "metrics": {"loss:sum": 1.5},
}
SAMPLE = {
    "type": "sample",
    "sequences": [{"tokens": [5], "logprobs": [-0.1], "stop_reason": "stop"}],
}


def server() -> Script:
    script = Script()
    promises(script, "POST create_model", {"model_id": "M"})
    promises(script, "POST forward_backward", OUTPUT)
    promises(script, "POST forward", OUTPUT)
    promises(script, "POST optim_step", {"metrics": {"unclipped_grad_l2:mean": 0.5}})
    promises(script, "POST save_weights", {"path": "tinker://M/weights/a"})
    promises(script, "POST load_weights", {"path": "tinker://M/weights/a"})
    promises(script, "POST save_weights_for_sampler", {"sampling_session_id": "SS"})
    promises(script, "POST asample", SAMPLE, SAMPLE)
    script.on("POST create_sampling_session", {"sampling_session_id": "SS"})
    return script


def assert_has(body: Any, expected: Any) -> None:
    """Hold that everything expected is in the body; more fields are allowed, nulls are not."""
    if isinstance(expected, dict):
        assert set(expected) <= set(body), body
        assert None not in body.values(), body
        for key, value in expected.items():
            assert_has(body[key], value)
    elif isinstance(expected, list) and isinstance(body, list) and len(body) == len(expected):
        for item, wanted in zip(body, expected, strict=True):
            assert_has(item, wanted)
    else:
        assert body == expected
        assert type(body) is type(expected)


def datum(weights: Any = (0.0, 1.0, 1.0)) -> Datum:
    return Datum(
        ModelInput.from_ints([1, 2, 3]), {"target_tokens": [2, 3, 4], "weights": list(weights)}
    )


DATUM = {
    "loss_fn_inputs": {
        "target_tokens": {"data": [2, 3, 4], "dtype": "int64", "shape": [3]},
        "weights": {"data": [0.0, 1.0, 1.0], "dtype": "float32", "shape": [3]},
    },
    "model_input": {"chunks": [{"tokens": [1, 2, 3], "type": "encoded_text"}]},
}


def test_a_session_and_a_model_are_asked_for_as_the_api_has_it() -> None:
    """create_session and create_model have the fields, types and defaults of the wire."""
    script = server()
    with scripted_service(script) as service:
        service.create_lora_training_client("B")
    assert_has(
        script.bodies("create_session")[0],
        {"tags": [], "user_metadata": {}, "type": "create_session"},
    )
    assert_has(
        script.bodies("create_model")[0],
        {
            "session_id": "S",
            "model_seq_id": 0,
            "base_model": "B",
            "lora_config": {
                "rank": 32,
                "train_unembed": True,
                "train_mlp": True,
                "train_attn": True,
            },
            "type": "create_model",
        },
    )


def test_training_requests_are_numbered_and_whole() -> None:
    """Each training request of a model carries the next seq_id and the literal body."""
    script = server()
    with scripted_service(script, wire_format="json") as service:
        training = service.create_lora_training_client("B")
        training.forward_backward([datum()], "cross_entropy").result()
        training.optim_step().result()
        training.forward([datum()], "cross_entropy", {"x": 1}).result()
        training.save_state("a", overwrite=False).result()
        training.load_state_with_optimizer("tinker://M/weights/a").result()
        training.save_weights_and_get_sampling_client()
    batch = {"data": [DATUM], "loss_fn": "cross_entropy"}
    assert_has(
        script.bodies("forward_backward")[0],
        {"forward_backward_input": batch, "model_id": "M", "seq_id": 1},
    )
    assert_has(
        script.bodies("optim_step")[0],
        {
            "model_id": "M",
            "seq_id": 2,
            "type": "optim_step",
            "adam_params": {
                "learning_rate": 0.0001,
                "beta1": 0.9,
                "beta2": 0.95,
                "eps": 1e-12,
                "weight_decay": 0.0,
                "grad_clip_norm": 0.0,
            },
        },
    )
    assert_has(
        script.bodies("forward")[0],
        {"forward_input": {**batch, "loss_fn_config": {"x": 1.0}}, "model_id": "M", "seq_id": 3},
    )
    assert_has(
        script.bodies("save_weights")[0],
        {"model_id": "M", "path": "a", "seq_id": 4, "type": "save_weights"},
    )
    assert_has(
        script.bodies("load_weights")[0],
        {
            "model_id": "M",
            "seq_id": 5,
            "path": "tinker://M/weights/a",
            "optimizer": True,
            "type": "load_weights",
        },
    )
    ephemeral = script.bodies("save_weights_for_sampler")[0]
    assert_has(
        ephemeral,
        {
            "model_id": "M",
            "sampling_session_seq_id": 0,
            "seq_id": 6,
            "type": "save_weights_for_sampler",
        },
    )
    assert "path" not in ephemeral


def test_a_named_save_sends_its_name_and_no_session_number() -> None:
    """A named sampler checkpoint has a path and a time to live, and no sampling session."""
    script = server()
    promises(script, "POST save_weights_for_sampler", {"path": "tinker://M/sampler_weights/a"})
    with scripted_service(script) as service:
        training = service.create_lora_training_client("B")
        training.save_weights_for_sampler("a", ttl_seconds=3600).result()
    body = script.bodies("save_weights_for_sampler")[0]
    assert_has(body, {"path": "a", "ttl_seconds": 3600, "seq_id": 1})
    assert "sampling_session_seq_id" not in body


def test_a_sample_is_asked_for_as_the_api_has_it() -> None:
    """asample and retrieve_future have the literal bodies, without what equals its default."""
    script = server()
    with scripted_service(script) as service:
        sampler = service.create_sampling_client(base_model="B")
        params = SamplingParams(max_tokens=5, stop=["x"])
        sampler.sample(ModelInput.from_ints([1, 2]), 2, params).result()
        sampler.sample(
            ModelInput.from_ints([1, 2]), 1, params, include_prompt_logprobs=True,
            topk_prompt_logprobs=3,
        ).result()  # fmt: skip
    first, second = script.bodies("asample")
    assert_has(
        first,
        {
            "num_samples": 2,
            "prompt": {"chunks": [{"tokens": [1, 2], "type": "encoded_text"}]},
            "sampling_params": {
                "max_tokens": 5,
                "stop": ["x"],
                "temperature": 1.0,
                "top_k": -1,
                "top_p": 1.0,
            },
            "sampling_session_id": "SS",
            "seq_id": 0,
            "type": "sample",
        },
    )
    assert not {"prompt_logprobs", "topk_prompt_logprobs", "topk_sample_logprobs"} & set(first)
    assert_has(second, {"seq_id": 1, "prompt_logprobs": True, "topk_prompt_logprobs": 3})
    assert script.bodies("retrieve_future")[0] == {
        "request_id": "asample-0",
        "allow_metadata_only": True,
    }
    assert_has(
        script.bodies("create_sampling_session")[0],
        {
            "session_id": "S",
            "sampling_session_seq_id": 0,
            "base_model": "B",
            "type": "create_sampling_session",
        },
    )
    headers = script.sent("asample")[0].headers
    assert headers["X-Tinker-Sampling-Backpressure"] == "1"
    assert headers["Content-Type"] == "application/json"


def payload(data: list[Datum]) -> bytes:
    body = encode.forward_backward_input(data, 0, "cross_entropy", None)
    from tinkex_generated.types import dumps

    return dumps(body.to_dict())


def test_every_way_to_give_numbers_makes_the_same_bytes() -> None:
    """Lists, arrays of any layout and dtype, and tensors become identical bytes."""
    wide = np.array([[0.0, 9.0], [1.0, 9.0], [1.0, 9.0]])
    expected = payload([datum()])
    assert json.loads(expected)["data"] == [DATUM]
    for weights in (wide[:, 0], wide[:, 0].astype(np.float16), wide[::-1, 0][::-1].astype(">f4")):
        given_as = Datum(
            ModelInput.from_ints(np.array([[1, 0], [2, 0], [3, 0]])[:, 0]),
            {"target_tokens": np.array([2, 3, 4], np.uint8), "weights": weights},
        )
        assert payload([given_as]) == expected


def test_spans_travel_with_their_kind() -> None:
    """A datum without spans has no such keys, one with spans has both lists."""
    plain = Datum(ModelInput.from_ints([1, 2]), {"target_tokens": [2, 3]})
    assert encode.datum(plain, "d").to_dict().keys() == {"model_input", "loss_fn_inputs"}
    made = plain.with_provenance(
        [PromptProvenanceSpan(sequence_id="s", length=2)],
        [
            PromptProvenanceSpan(sequence_id="s", offset=1, length=1),
            SampledProvenanceSpan(sequence_id="s", length=1),
        ],
    )
    sent = encode.datum(made, "d").to_dict()
    assert sent["model_input_spans"] == [
        {"type": "prompt_tokens", "sequence_id": "s", "offset": 0, "length": 2}
    ]
    assert [span["type"] for span in sent["loss_fn_input_spans"]] == [
        "prompt_tokens",
        "sampled_tokens",
    ]


def test_matrices_travel_flat_with_their_shape() -> None:
    """A Fortran-ordered [N, K] matrix is written row by row."""
    matrix = np.array([[1, 2, 3], [4, 5, 6]], order="F")
    value = Datum(ModelInput.from_ints([1, 2]), {"target_tokens": matrix, "weights": matrix.T.T})
    sent = json.loads(payload([value]))["data"][0]["loss_fn_inputs"]["target_tokens"]
    assert sent == {"data": [1, 2, 3, 4, 5, 6], "dtype": "int64", "shape": [2, 3]}


@given(st.lists(st.floats(width=32, allow_nan=False, allow_infinity=False), min_size=1))
def test_float32_survives_the_text(values: list[float]) -> None:
    """What the JSON says, read back as float32, is bit for bit what was sent."""
    tensor = TensorData(values, dtype="float32")
    value = Datum(ModelInput.from_ints([0] * len(values)), {"weights": tensor})
    sent = json.loads(payload([value]))["data"][0]["loss_fn_inputs"]["weights"]["data"]
    assert np.array_equal(np.array(sent, np.float32), tensor.numpy())


def test_chunks_always_say_their_type_and_never_null() -> None:
    """Text, images and asset pointers are tagged; what an image does not say is left out."""
    value = ModelInput(
        [
            EncodedTextChunk([1]),
            ImageChunk(b"\x00\xff", "png"),
            ImageAssetPointerChunk("s3://b/x.jpeg", "jpeg", 4),
        ]
    )
    assert encode.model_input(value).to_dict()["chunks"][1:] == [
        {"type": "image", "data": "AP8=", "format": "png"},
        {
            "type": "image_asset_pointer",
            "location": "s3://b/x.jpeg",
            "format": "jpeg",
            "expected_tokens": 4,
        },
    ]


def test_a_number_that_turned_bad_later_is_refused_by_its_place() -> None:
    """An array shared with the caller that meanwhile holds NaN is not sent as null."""
    weights = np.zeros(3, np.float32)
    bad = Datum(ModelInput.from_ints([1, 2, 3]), {"weights": weights})
    weights[2] = np.nan
    with pytest.raises(ValidationError) as caught:
        encode.forward_backward_input([datum(), bad], 7, "cross_entropy", None)
    assert caught.value.path == "data[8].loss_fn_inputs['weights'][2]"


@pytest.mark.parametrize(
    ("stop", "sent"),
    [(None, None), ([], []), ("x", ["x"]), (["x", "y"], ["x", "y"]), ([1, 2], [1, 2])],
    ids=repr,
)
def test_stop_travels_as_it_was_meant(stop: Any, sent: Any) -> None:
    """No stop is left out, a bare string is a list of one, and kinds stay what they are."""
    assert encode.sampling_params(SamplingParams(stop=stop)).to_dict().get("stop") == sent


def test_loss_settings_become_numbers() -> None:
    """Numeric text and integers are sent as floats; the name of an uploaded loss stays text."""
    config = encode.check_loss("ppo", {"clip_low_threshold": "0.2", "beta": 1, "x": np.float32(2)})
    assert config == {"clip_low_threshold": 0.2, "beta": 1.0, "x": 2.0}
    assert {type(value) for value in config.values()} == {float}
    assert encode.check_loss("custom", {"loss_id": "l-1"}) == {"loss_id": "l-1"}
    assert encode.check_loss("cross_entropy", None) is None
    assert encode.check_loss("cross_entropy", {}) == {}


@pytest.mark.parametrize(
    ("loss_fn", "config", "path"),
    [
        ("", None, "loss_fn"),
        (None, None, "loss_fn"),
        ("ppo", {"clip": "nope"}, "loss_fn_config['clip']"),
        ("ppo", {"clip": None}, "loss_fn_config['clip']"),
        ("ppo", {"clip": True}, "loss_fn_config['clip']"),
        ("ppo", {"clip": float("nan")}, "loss_fn_config['clip']"),
        ("ppo", {"clip": "inf"}, "loss_fn_config['clip']"),
        ("ppo", [("clip", 0.2)], "loss_fn_config"),
    ],
    ids=repr,
)
def test_a_loss_that_cannot_be_is_refused(loss_fn: Any, config: Any, path: str) -> None:
    """An unknown loss lists those there are; a setting must be a finite number."""
    with pytest.raises(ValidationError) as caught:
        encode.check_loss(loss_fn, config)
    assert caught.value.path == path
    if path == "loss_fn":
        assert "cross_entropy" in str(caught.value)


def test_optimizer_settings_are_all_sent() -> None:
    """Every field of the optimizer is written, as floats, whatever kind of number it was."""
    sent = encode.adam_params(
        AdamParams(learning_rate=1, weight_decay=1, grad_clip_norm=2)
    ).to_dict()
    assert sent == {
        "learning_rate": 1.0,
        "beta1": 0.9,
        "beta2": 0.95,
        "eps": 1e-12,
        "weight_decay": 1.0,
        "grad_clip_norm": 2.0,
    }


def test_the_same_request_is_the_same_bytes() -> None:
    """A retried training request repeats its bytes, its number and its idempotency key."""
    script = server()
    script.on(
        "POST forward_backward",
        503,
        httpx.ConnectError("gone"),
        {"request_id": "forward_backward-0"},
    )
    with scripted_service(script, wire_format="protobuf") as service:
        training = service.create_lora_training_client("B")
        training.forward_backward([datum()], "cross_entropy").result()
    sent = script.sent("forward_backward")
    assert len(sent) == 3
    assert len({got.content for got in sent}) == 1
    assert len({got.headers["X-Idempotency-Key"] for got in sent}) == 1
