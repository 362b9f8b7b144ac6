"""Answers are read as servers write them, and what cannot be read is named."""

from __future__ import annotations

import math

import numpy as np
import pytest
from tinkex_generated.errors import ParseError

from tinkex._core.wire import decode


def output(tensor: object) -> dict[str, object]:
    return {"loss_fn_output_type": "T", "loss_fn_outputs": [{"logprobs": tensor}], "metrics": {}}


def test_tensors_take_their_dtype_and_shape() -> None:
    """Flat data with a shape becomes an array of it, int64 or float32."""
    read = decode.forward_backward_output(
        output({"data": [1, 2, 3, 4], "dtype": "int64", "shape": [2, 2]})
    )
    tensor = read.loss_fn_outputs[0]["logprobs"]
    assert (tensor.dtype, tensor.tolist()) == ("int64", [[1, 2], [3, 4]])


def test_a_tensor_may_leave_out_its_shape_dtype_and_frame() -> None:
    """Without a shape it is flat, without a dtype float32, and a bare list is a tensor too."""
    for value in ({"data": [-1, -2.5]}, {"data": [-1, -2.5], "shape": None}, [-1, -2.5]):
        tensor = decode.forward_backward_output(output(value)).loss_fn_outputs[0]["logprobs"]
        assert (tensor.dtype, tensor.tolist()) == ("float32", [-1.0, -2.5])


def test_null_is_an_undefined_number() -> None:
    """JSON has no NaN, so null stands for it, in tensors and metrics alike."""
    body = output({"data": [None, -0.5], "dtype": "float32", "shape": [2]})
    read = decode.forward_backward_output({**body, "metrics": {"x:mean": None, "y:sum": 2}})
    assert np.array_equal(
        read.loss_fn_outputs[0]["logprobs"].numpy(), [np.nan, -0.5], equal_nan=True
    )
    assert math.isnan(read.metrics["x:mean"])
    assert read.metrics["y:sum"] == 2
    assert math.isnan(read.loss)


def test_a_float_beyond_float32_is_infinite() -> None:
    """A number that float32 cannot hold is read without a warning."""
    read = decode.forward_backward_output(output({"data": [-1e300], "dtype": "float32"}))
    assert read.loss_fn_outputs[0]["logprobs"].tolist() == [-math.inf]


def test_an_empty_result_is_a_result() -> None:
    """No outputs and no metrics are fine, as for data without loss tokens."""
    read = decode.forward_backward_output({"loss_fn_outputs": [{}], "metrics": None})
    assert read.loss_fn_outputs == [{}]
    assert read.metrics == {}


def test_sequences_are_named_by_their_promise() -> None:
    """One name for each in order; a list that does not fit, or none, names nothing."""
    body = {"sequences": [{"tokens": [1]}, {"tokens": [2]}]}
    named = decode.sample_response(body, ["a", "b"])
    assert [one.sequence_id for one in named.sequences] == ["a", "b"]
    for ids in (None, ["a"], "ab", 5):
        assert decode.sample_response(body, ids) == decode.sample_response(body)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (None, ""),
        ([], ""),
        ({}, "loss_fn_outputs"),
        ({"loss_fn_outputs": {}}, "loss_fn_outputs"),
        ({"loss_fn_outputs": [None]}, "loss_fn_outputs[0]"),
        ({"loss_fn_outputs": [], "metrics": [1]}, "metrics"),
        ({"loss_fn_outputs": [], "metrics": {"x": "1"}}, "metrics['x']"),
        (output(None), "loss_fn_outputs[0].logprobs"),
        (output({"data": None}), "loss_fn_outputs[0].logprobs"),
        (output({"data": ["x"]}), "loss_fn_outputs[0].logprobs"),
        (output({"data": [1], "shape": [2]}), "loss_fn_outputs[0].logprobs"),
        (output({"data": [1], "shape": "ab"}), "loss_fn_outputs[0].logprobs"),
        (output({"data": [None], "dtype": "int64"}), "loss_fn_outputs[0].logprobs"),
        (output({"data": [2**70], "dtype": "int64"}), "loss_fn_outputs[0].logprobs"),
        (output({"data": [1], "sparse_crow_indices": [0]}), "loss_fn_outputs[0].logprobs"),
    ],
    ids=repr,
)
def test_a_broken_training_result_is_named(body: object, path: str) -> None:
    """Whatever a server sends, the only error is a ParseError with the place."""
    with pytest.raises(ParseError) as caught:
        decode.forward_backward_output(body)
    assert caught.value.path == path


def test_samples_are_read_with_what_they_have() -> None:
    """Tokens are needed; log probabilities, prompt log probabilities and top-k may be missing."""
    read = decode.sample_response({"sequences": [{"tokens": [5, 6]}]})
    assert read.sequences[0].tokens == [5, 6]
    assert read.sequences[0].logprobs is None
    assert read.sequences[0].stop_reason == "length"
    assert read.prompt_logprobs is None
    assert read.topk_prompt_logprobs is None
    read = decode.sample_response(
        {
            "sequences": [{"tokens": [5], "logprobs": [-0.1], "stop_reason": "stop"}],
            "prompt_logprobs": [None, -2.0],
        }
    )
    assert read.sequences[0].logprobs == [-0.1]
    assert read.prompt_logprobs == [None, -2.0]


def test_top_k_rows_are_pairs_or_objects_or_missing() -> None:
    """Both spellings of a row give (token, log probability); null rows stay None."""
    read = decode.sample_response(
        {
            "sequences": [],
            "topk_prompt_logprobs": [
                None,
                [[7, -0.3], [9, -1.8]],
                [{"token_id": 3, "logprob": -1}, {"token_id": 4, "logprob": None}],
                [],
            ],
        }
    )
    first, pairs, objects, empty = read.topk_prompt_logprobs
    assert first is None
    assert pairs == [(7, -0.3), (9, -1.8)]
    assert objects[0] == (3, -1)
    assert math.isnan(objects[1][1])
    assert empty == []


@pytest.mark.parametrize(
    ("body", "path"),
    [
        (None, ""),
        ({}, "sequences"),
        ({"sequences": [None]}, "sequences[0]"),
        ({"sequences": [{}]}, "sequences[0].tokens"),
        ({"sequences": [{"tokens": [], "logprobs": 1}]}, "sequences[0].logprobs"),
        ({"sequences": [], "prompt_logprobs": {}}, "prompt_logprobs"),
        ({"sequences": [], "topk_prompt_logprobs": 5}, "topk_prompt_logprobs"),
        ({"sequences": [], "topk_prompt_logprobs": [5]}, "topk_prompt_logprobs[0]"),
        ({"sequences": [], "topk_prompt_logprobs": [[5]]}, "topk_prompt_logprobs[0]"),
        ({"sequences": [], "topk_prompt_logprobs": [[[5]]]}, "topk_prompt_logprobs[0]"),
        ({"sequences": [], "topk_prompt_logprobs": [[{"token": 5}]]}, "topk_prompt_logprobs[0]"),
        ({"sequences": [], "topk_prompt_logprobs": [[[5, "x"]]]}, "topk_prompt_logprobs[0]"),
    ],
    ids=repr,
)
def test_a_broken_sample_is_named(body: object, path: str) -> None:
    """Whatever a server sends, the only error is a ParseError with the place."""
    with pytest.raises(ParseError) as caught:
        decode.sample_response(body)
    assert caught.value.path == path


@pytest.mark.parametrize("token", ["5", 5.0, 5.5, None, True, [5], {}], ids=repr)
def test_a_token_that_is_no_integer_is_named(token: object) -> None:
    """What cannot be a token of the vocabulary is not handed on as one."""
    with pytest.raises(ParseError) as caught:
        decode.sample_response({"sequences": [{"tokens": [1]}, {"tokens": [5, token]}]})
    assert caught.value.path == "sequences[1].tokens[1]"
    with pytest.raises(ParseError) as caught:
        decode.sample_response(
            {"sequences": [], "topk_prompt_logprobs": [None, [{"token_id": token, "logprob": 0}]]}
        )
    assert caught.value.path == "topk_prompt_logprobs[1]"


@pytest.mark.parametrize("value", ["-1.5", True, [-1.5]], ids=repr)
def test_a_log_probability_that_is_no_number_is_named(value: object) -> None:
    """Of the sequence and of the prompt alike."""
    for body, path in (
        ({"sequences": [{"tokens": [1], "logprobs": [value]}]}, "sequences[0].logprobs[0]"),
        ({"sequences": [], "prompt_logprobs": [None, value]}, "prompt_logprobs[1]"),
    ):
        with pytest.raises(ParseError) as caught:
            decode.sample_response(body)
        assert caught.value.path == path


def test_an_undefined_log_probability_of_a_sequence_is_nan() -> None:
    """JSON has no NaN, so servers write null for one."""
    read = decode.sample_response({"sequences": [{"tokens": [1, 2], "logprobs": [-0.5, None]}]})
    assert read.sequences[0].logprobs is not None
    assert math.isnan(read.sequences[0].logprobs[1])
