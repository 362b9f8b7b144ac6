"""forward_backward_custom: what is sent, in which order, and what comes back."""

from __future__ import annotations

import threading
from typing import Any

import attrs
import numpy as np
import pytest
from losses.test_gradients import need
from support.nano import NANO, nano_service
from support.scripted import Script, promises, scripted_service

from tinkex import AdamParams, Datum, ModelInput, ServiceClient, losses
from tinkex._core.wire import decode
from tinkex.errors import DecodeError, ValidationError
from tinkex.regularizers import L2, RegularizerSpec
from tinkex.regularizers.custom_step import CustomStep
from tinkex.types import SampledProvenanceSpan

__all__ = ["nano_service"]

WEIGHTS = [np.array([0.0, 1.0, 0.5], np.float32), np.array([1.0, -2.0], np.float32)]
DATA = [
    losses.cross_entropy_datum([5, 6, 7, 8], [0, *WEIGHTS[0]]),
    losses.cross_entropy_datum([9, 10, 11], [0, *WEIGHTS[1]]),
]


def weights_of(datum: Datum) -> np.ndarray:
    return datum.loss_fn_inputs["weights"].numpy()


def plain(data: Any, logprobs: Any) -> Any:
    pairs = zip(data, logprobs, strict=True)
    return -sum((lp * weights_of(d)).sum() for d, lp in pairs), {"tokens": 5}


def explicit(data: Any, logprobs: Any) -> Any:
    return (*plain(data, logprobs), [-weights_of(d) for d in data])


def with_torch(data: Any, logprobs: Any) -> Any:
    import torch

    pairs = zip(data, logprobs, strict=True)
    terms = [(lp * d.loss_fn_inputs["weights"].to_torch()).sum() for d, lp in pairs]
    return -torch.stack(terms).sum(), {"tokens": 5}


def with_jax(data: Any, logprobs: Any) -> Any:
    import jax.numpy as jnp

    pairs = zip(data, logprobs, strict=True)
    return -sum(jnp.sum(lp * weights_of(d)) for d, lp in pairs), {"tokens": 5}


@pytest.mark.parametrize(
    ("backend", "loss_fn"),
    [("explicit", explicit), ("autograd", plain), ("torch", with_torch), ("jax", with_jax)],
    ids=["explicit", "autograd", "torch", "jax"],
)
def test_cross_entropy_written_by_hand_trains_like_the_built_in_one(
    nano_service: ServiceClient, backend: str, loss_fn: Any
) -> None:
    """After three steps the log probabilities of both models agree to 1e-5."""
    need(backend)
    models = [nano_service.create_lora_training_client(NANO, rank=4, seed=3) for _ in range(2)]
    for _ in range(3):
        built_in = models[0].forward_backward(DATA, "cross_entropy")
        custom = models[1].forward_backward_custom(DATA, loss_fn)
        for model in models:
            model.optim_step(AdamParams(learning_rate=1e-2))
        assert custom.result().loss == pytest.approx(built_in.result().loss, rel=1e-5)
        assert custom.result().metrics["tokens"] == 5
    start = nano_service.create_lora_training_client(NANO, rank=4, seed=3)
    found = [
        [
            out["logprobs"].numpy()
            for out in m.forward(DATA, "cross_entropy").result().loss_fn_outputs
        ]
        for m in (*models, start)
    ]
    for one, other, before in zip(*found, strict=True):
        np.testing.assert_allclose(other, one, atol=1e-5)
        assert np.abs(one - before).max() > 1e-2


def test_advantages_carry_a_custom_loss_as_weights_do(nano_service: ServiceClient) -> None:
    """Both backward passes give the same weights, to 1e-5, on a server that sums losses."""
    models = [nano_service.create_lora_training_client(NANO, rank=4, seed=3) for _ in range(2)]
    for _ in range(3):
        for model, computes_loss in zip(models, (False, True), strict=True):
            step = CustomStep.of(DATA, explicit)
            forward = model.forward(step.forward_data(), "cross_entropy").result()
            surrogate = step.backward(attrs.evolve(forward, computes_loss=computes_loss))
            model.forward_backward(surrogate.data, surrogate.loss_fn).result()
            model.optim_step(AdamParams(learning_rate=1e-2)).result()
            assert surrogate.loss_fn == (
                "importance_sampling" if computes_loss else "cross_entropy"
            )
    one, other = (model.forward(DATA, "cross_entropy").result() for model in models)
    for mine, yours in zip(one.loss_fn_outputs, other.loss_fn_outputs, strict=True):
        np.testing.assert_allclose(mine["logprobs"].numpy(), yours["logprobs"].numpy(), atol=1e-5)


def test_where_advantages_would_not_be_exact_weights_are_sent() -> None:
    """Several targets for a token, or log probabilities that are not finite."""
    inputs = {"target_tokens": [[2, 3], [3, 4]], "weights": [[1.0, 0.0], [1.0, 0.0]]}
    made = Datum(ModelInput.from_ints([1, 2]), inputs)
    result = decode.forward_backward_output(output([-0.5, -1.0, -1.0, -2.0]))
    step = CustomStep.of([made], explicit)
    surrogate = step.backward(attrs.evolve(result, computes_loss=True))
    assert surrogate.loss_fn == "cross_entropy"
    assert set(surrogate.data[0].loss_fn_inputs) == {"target_tokens", "weights"}


def test_spans_are_sent_with_both_passes() -> None:
    """A custom loss keeps the provenance of its data, in the forward and in the backward pass."""
    span = [SampledProvenanceSpan(sequence_id="s", length=2)]
    inputs = {"target_tokens": [2, 3], "weights": [1.0, 1.0]}
    made = Datum(ModelInput.from_ints([1, 2]), inputs).with_provenance(span, span)
    step = CustomStep.of([made], plain)
    (sent,) = step.forward_data()
    assert sent.model_input_spans == sent.loss_fn_input_spans == tuple(span)
    result = decode.forward_backward_output(output([-0.5, -1.0]))
    (backward,) = step.backward(result).data
    assert backward.loss_fn_input_spans == tuple(span)


def test_regularizers_are_added_to_the_loss(nano_service: ServiceClient) -> None:
    """The metrics have every term, and their gradients reach the weights."""
    model = nano_service.create_lora_training_client(NANO, rank=4, seed=3)
    spec = RegularizerSpec(L2(), weight=0.25)
    metrics = model.forward_backward_custom(DATA, plain, [spec]).result().metrics
    before = model.forward(DATA, "cross_entropy").result().loss_fn_outputs
    square = sum(float((out["logprobs"].numpy().astype(float) ** 2).sum()) for out in before)
    assert metrics["regularizer/l2_weight_decay:sum"] == pytest.approx(square, rel=1e-5)
    assert metrics["regularizer_total:sum"] == pytest.approx(square / 4, rel=1e-5)
    total = metrics["base_loss:sum"] + square / 4
    assert metrics["loss:sum"] == pytest.approx(total, rel=1e-5)
    # The surrogate is Σ gradient · logprob.
    slope = metrics["base_loss:sum"] + square / 2
    assert metrics["surrogate_loss:sum"] == pytest.approx(slope, rel=1e-5)


def output(*logprobs: list[float]) -> dict[str, Any]:
    return {
        "loss_fn_output_type": "T",
        "loss_fn_outputs": [{"logprobs": {"data": v, "dtype": "float32"}} for v in logprobs],
        "metrics": {"loss:sum": 9.0, "clock_cycle:unique": 4.0},
    }


@pytest.fixture
def script() -> Script:
    script = Script()
    promises(script, "POST create_model", {"model_id": "M"})
    return script


def two_tokens(**more: Any) -> Datum:
    return Datum(ModelInput.from_ints([1, 2]), {"target_tokens": [2, 3], **more})


def test_forward_then_backward_then_step_are_numbered_in_order(script: Script) -> None:
    """sum(logprobs) on two tokens sends weights [−1, −1]; custom metrics win over the server's."""
    promises(script, "POST forward", output([-1.0, -2.0]))
    promises(script, "POST forward_backward", output([-1.0, -2.0]))
    promises(script, "POST optim_step", {"metrics": {}})

    def loss_fn(data: Any, logprobs: Any) -> Any:
        assert "advantages" in data[0].loss_fn_inputs
        return logprobs[0].sum(), {"mine": 2.0, "clock_cycle:unique": 5.0}

    with scripted_service(script, wire_format="json") as service:
        training = service.create_lora_training_client("B")
        future = training.forward_backward_custom([two_tokens(advantages=[1.0, 1.0])], loss_fn)
        training.optim_step()
        assert future.result().metrics == {
            "surrogate_loss:sum": 9.0,
            "loss:sum": -3.0,
            "mine": 2.0,
            "clock_cycle:unique": 5.0,
        }
        assert future.operation == "forward_backward_custom"
    (forward,) = script.bodies("forward")
    (backward,) = script.bodies("forward_backward")
    assert (forward["seq_id"], backward["seq_id"]) == (1, 2)
    assert script.bodies("optim_step")[0]["seq_id"] == 3
    asked = forward["forward_input"]
    assert asked["loss_fn"] == "cross_entropy"
    assert set(asked["data"][0]["loss_fn_inputs"]) == {"target_tokens", "weights"}
    assert asked["data"][0]["loss_fn_inputs"]["weights"]["data"] == [0, 0]
    sent = backward["forward_backward_input"]["data"][0]["loss_fn_inputs"]
    assert set(sent) == {"target_tokens", "weights"}
    assert sent["weights"] == {"data": [-1, -1], "dtype": "float32", "shape": [2]}


def test_both_passes_are_cut_at_the_same_places(script: Script) -> None:
    """Three data in requests of two give forward 1, 2 and backward 3, 4; shapes are kept apart."""
    lengths = [2, 3, 1]
    data = [
        Datum(ModelInput.from_ints(range(n)), {"target_tokens": list(range(n))}) for n in lengths
    ]
    parts = [output([-1.0] * 2, [-2.0] * 3), output([-3.0])]
    promises(script, "POST forward", *parts)
    promises(script, "POST forward_backward", *parts)
    shapes = []

    def loss_fn(data: Any, logprobs: Any) -> Any:
        shapes.append([lp.shape for lp in logprobs])
        return sum(lp.sum() for lp in logprobs), {}

    with scripted_service(script, wire_format="json", chunk_len=2) as service:
        training = service.create_lora_training_client("B")
        training.forward_backward_custom(data, loss_fn, backend="autograd").result()
    assert shapes == [[(2,), (3,), (1,)]]
    for route, numbers, key in (
        ("forward", [1, 2], "forward_input"),
        ("forward_backward", [3, 4], "forward_backward_input"),
    ):
        bodies = script.bodies(route)
        assert [body["seq_id"] for body in bodies] == numbers
        assert [len(body[key]["data"]) for body in bodies] == [2, 1]


@pytest.mark.parametrize(
    ("loss_fn", "error", "message"),
    [
        (lambda d, lps: (1 / 0, {}), ZeroDivisionError, "division"),
        (lambda d, lps: (1.0, {}), ValidationError, r"data\[0\]: the loss ignores"),
        (lambda d, lps: (lps[0], {}), ValidationError, "must be one number"),
        (lambda d, lps: (1.0, {}, [np.zeros(3)]), ValidationError, r"data\[0\]: the gradient has"),
    ],
)
def test_nothing_is_sent_for_the_backward_of_a_bad_loss(
    script: Script, loss_fn: Any, error: type[Exception], message: str
) -> None:
    """The error comes at once, and the next request has the next number."""
    promises(script, "POST forward", output([-1.0, -2.0]))
    promises(script, "POST optim_step", {"metrics": {}})
    with scripted_service(script, wire_format="json") as service:
        training = service.create_lora_training_client("B")
        with pytest.raises(error, match=message):
            training.forward_backward_custom([two_tokens()], loss_fn)
        training.optim_step()
    assert not script.sent("forward_backward")
    assert script.bodies("optim_step")[0]["seq_id"] == 2


@pytest.mark.parametrize(
    ("data", "arguments", "path"),
    [
        ([two_tokens(), Datum(ModelInput.from_ints([1]))], {}, "data[1].loss_fn_inputs"),
        ([two_tokens()], {"loss_fn": 3}, "loss_fn"),
        ([two_tokens()], {"backend": "tensorflow"}, "backend"),
        ([two_tokens()], {"regularizers": [L2()]}, "regularizers[0]"),
        ([], {}, "data"),
    ],
)
def test_nothing_is_sent_for_what_cannot_be_right(
    script: Script, data: Any, arguments: Any, path: str
) -> None:
    """Data, functions and settings are checked before the forward pass."""
    arguments = {"loss_fn": plain, **arguments}
    with scripted_service(script, wire_format="json") as service:
        training = service.create_lora_training_client("B")
        with pytest.raises(ValidationError) as caught:
            training.forward_backward_custom(data, **arguments)
    assert str(caught.value.path).startswith(path)
    assert not script.sent("forward")


def test_an_answer_without_logprobs_is_named(script: Script) -> None:
    """The error says which datum has none."""
    promises(script, "POST forward", output([-1.0]))
    with scripted_service(script, wire_format="json") as service:
        training = service.create_lora_training_client("B")
        with pytest.raises(DecodeError, match=r"data\[0\].*shape \(2,\)"):
            training.forward_backward_custom([two_tokens()], plain)


def test_no_other_threads_request_comes_between(script: Script) -> None:
    """A step that another thread submits while the loss is computed is numbered after it."""
    promises(script, "POST forward", output([-1.0, -2.0]))
    promises(script, "POST forward_backward", output([-1.0, -2.0]))
    promises(script, "POST optim_step", {"metrics": {}})
    with scripted_service(script, wire_format="json") as service:
        training = service.create_lora_training_client("B")
        begun = threading.Event()

        def other() -> None:
            begun.set()
            training.optim_step()

        thread = threading.Thread(target=other)

        def loss_fn(data: Any, logprobs: Any) -> Any:
            thread.start()
            begun.wait()
            return logprobs[0].sum(), {}

        training.forward_backward_custom([two_tokens()], loss_fn, backend="autograd")
        thread.join()
    assert script.bodies("forward_backward")[0]["seq_id"] == 2
    assert script.bodies("optim_step")[0]["seq_id"] == 3
