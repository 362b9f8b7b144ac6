"""Training over the wire: the engine's answers in the wire's form."""

from __future__ import annotations

from typing import Any

import pytest
from local.wire import Model, Wire, datum, loss_input


def test_training_lowers_the_loss(wire: Wire) -> None:
    """A few steps on the same data learn it."""
    model = wire.model()
    losses = [model.step(learning_rate=2e-2) for _ in range(8)]
    assert losses[-1] < 0.3 * losses[0]


def test_answer_has_one_logprob_per_target(wire: Wire) -> None:
    """loss_fn_outputs come per datum, in order, float32, in the targets' shape."""
    model = wire.model()
    data = [datum([1, 2, 3]), datum([9])]
    answer = model.call("forward_backward", forward_backward_input=loss_input(data))
    outputs = [output["logprobs"] for output in answer["loss_fn_outputs"]]
    assert [output["shape"] for output in outputs] == [[3], [1]]
    assert {output["dtype"] for output in outputs} == {"float32"}
    total = -sum(value for output in outputs for value in output["data"])
    assert answer["metrics"]["loss:sum"] == pytest.approx(total, abs=1e-3)


def test_gradients_accumulate_until_the_step(wire: Wire) -> None:
    """Two half batches and a step equal one whole batch and a step."""
    whole, halves = wire.model(), wire.model()
    data = [datum([5, 6, 7]), datum([30, 31, 32, 33])]
    whole.step(data)
    for part in data:
        halves.call("forward_backward", forward_backward_input=loss_input([part]))
    halves.call("optim_step", adam_params={"learning_rate": 1e-2})
    assert halves.loss(data) == pytest.approx(whole.loss(data), rel=1e-5)


def test_forward_leaves_no_gradient(wire: Wire) -> None:
    """A step after forward alone changes nothing."""
    model = wire.model()
    before = model.loss()
    step = model.call("optim_step", adam_params={"learning_rate": 1.0})
    assert step["metrics"]["unclipped_grad_l2:mean"] == 0.0
    assert model.loss() == before


def test_the_seed_fixes_the_adapter(wire: Wire) -> None:
    """Equal seeds learn alike, other seeds differ; seeds may be negative or large."""

    def losses(seed: int) -> list[float]:
        model = wire.model(lora_config={"rank": 4, "seed": seed})
        return [model.step() for _ in range(3)]

    assert losses(1) == losses(1)
    assert losses(1) != losses(2)
    assert losses(-5) == losses(-5)
    assert losses(2**62) == losses(2**62)


def test_soft_targets_dense_and_sparse_are_the_same(wire: Wire) -> None:
    """[N, K] targets are taken; a CSR tensor means the same as its dense form."""
    model = wire.model()

    def answer(targets: dict[str, Any], weights: dict[str, Any]) -> Any:
        one = datum([1, 2])
        one["loss_fn_inputs"] = {"target_tokens": targets, "weights": weights}
        return model.call("forward", forward_input=loss_input([one]))

    dense = answer(
        {"data": [3, 0, 0, 4], "dtype": "int64", "shape": [2, 2]},
        {"data": [0.5, 0, 0, 2], "dtype": "float32", "shape": [2, 2]},
    )
    where = {"sparse_crow_indices": [0, 1, 2], "sparse_col_indices": [0, 1], "shape": [2, 2]}
    sparse = answer(
        {"data": [3, 4], "dtype": "int64", **where}, {"data": [0.5, 2], "dtype": "float32", **where}
    )
    assert sparse == dense
    assert dense["loss_fn_outputs"][0]["logprobs"]["shape"] == [2, 2]


def test_shapes_may_be_written_with_a_decimal_point(wire: Wire) -> None:
    """JSON has one kind of number: 2.0 is an integer, in dense and in sparse tensors."""
    model = wire.model()
    dense, sparse = datum([1, 2]), datum([1, 2])
    where = {"sparse_crow_indices": [0.0, 1, 2], "sparse_col_indices": [0, 1.0]}
    for name, kind in (("target_tokens", "int64"), ("weights", "float32")):
        tensor = {"data": [3, 0, 0, 4], "dtype": kind, "shape": [2.0, 2.0]}
        dense["loss_fn_inputs"][name] = tensor
        sparse["loss_fn_inputs"][name] = {**tensor, **where, "data": [3, 4]}
    answers = [model.call("forward", forward_input=loss_input([one])) for one in (dense, sparse)]
    assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("tensor", "field"),
    [
        ({"data": [1, 2], "dtype": "int64", "shape": [3]}, "shape"),
        ({"data": [1, 2], "dtype": "int64", "shape": [2**70]}, "shape"),
        ({"data": [1.5, 2], "dtype": "int64"}, "data"),
        ({"data": [2**63, 2], "dtype": "int64"}, "data"),
        ({"data": [1e300, 2], "dtype": "float32"}, "data"),
        (
            {"data": [1], "dtype": "int64", "shape": [1, 1], "sparse_crow_indices": [0, 2],
             "sparse_col_indices": [0]},
            "sparse_crow_indices",
        ),
        (
            {"data": [1], "dtype": "int64", "shape": [1, 1], "sparse_crow_indices": [0, 1],
             "sparse_col_indices": [1]},
            "sparse_col_indices",
        ),
    ],
)  # fmt: skip
def test_tensors_that_make_no_sense_are_named(
    wire: Wire, tensor: dict[str, Any], field: str
) -> None:
    """A tensor whose numbers do not fit its dtype or shape is refused with its path."""
    model = wire.model()
    one = datum([1, 2])
    one["loss_fn_inputs"]["target_tokens"] = tensor
    refused = wire.send(
        "forward", model_id=model.model_id, seq_id=1, forward_input=loss_input([one])
    )
    assert refused.status_code == 400
    place = f"forward_input.data[0].loss_fn_inputs['target_tokens'].{field} "
    assert refused.json()["detail"].startswith(place)


def test_losses_take_their_settings(wire: Wire) -> None:
    """loss_fn_config reaches the loss; a setting it does not know is the user's mistake."""
    model = wire.model()
    one = datum([1, 2])
    one["loss_fn_inputs"].pop("weights")
    for name, values in (("logprobs", [-1.0, -1.0]), ("advantages", [1.0, -1.0])):
        one["loss_fn_inputs"][name] = {"data": values, "dtype": "float32", "shape": [2]}
    body = {"data": [one], "loss_fn": "ppo"}

    def loss(**config: float) -> float:
        answer = model.call("forward", forward_input={**body, "loss_fn_config": config})
        return float(answer["metrics"]["loss:sum"])

    assert loss(clip_low_threshold=0.9) != loss(clip_low_threshold=0.1)
    failed = wire.outcome(
        model.submit("forward", forward_input={**body, "loss_fn_config": {"clip": 1}})
    )
    assert failed["category"] == "user"


def test_adam_settings_are_used(wire: Wire) -> None:
    """A clipped step moves less than a free one; null settings have their defaults."""
    free, clipped = wire.model(), wire.model()
    for model, extra in ((free, {"beta1": None}), (clipped, {"grad_clip_norm": 1e-9, "eps": 1.0})):
        model.call("forward_backward", forward_backward_input=loss_input())
        model.call("optim_step", adam_params={"learning_rate": 1e-2, **extra})
    fresh = wire.model().loss()
    assert free.loss() < clipped.loss()
    assert clipped.loss() == pytest.approx(fresh, rel=1e-4)


def test_models_train_side_by_side(wire: Wire) -> None:
    """Two models of one base learn different things and do not mix."""
    one, other = wire.model(), wire.model()
    first, second = [datum([5, 6, 7])], [datum([5, 6, 7], [90, 80, 70])]
    for _ in range(10):
        one.step(first, 2e-2)
        other.step(second, 2e-2)
    assert one.loss(first) < one.loss(second)
    assert other.loss(second) < other.loss(first)


DIMUON = {"type": "dimuon", "learning_rate": 0.01}


def test_settings_of_another_optimizer_are_refused(wire: Wire) -> None:
    """The optimizer is chosen when the model is created, and the message names the field to send."""
    adamw, dimuon = wire.model(), wire.model(optimizer_config={"type": "dimuon", "version": 1})
    for model, settings, wanted in (
        (adamw, {"optimizer_params": DIMUON}, "send adam_params"),
        (dimuon, {"adam_params": {}}, "send optimizer_params"),
        (dimuon, {}, "send optimizer_params"),
        (dimuon, {"adam_params": {}, "optimizer_params": DIMUON}, "exclude each other"),
    ):
        refused = wire.send("optim_step", model_id=model.model_id, seq_id=1, **settings)
        assert refused.status_code == 400
        assert wanted in refused.json()["detail"]


def test_dimuon_trains_and_resumes_exactly(wire: Wire) -> None:
    """A model resumed with its optimizer takes the same steps as one that was not interrupted."""
    model = wire.model(optimizer_config={"type": "dimuon"})
    info = wire.post("get_info", model_id=model.model_id)
    assert info["optimizer_config"] == {"type": "dimuon"}

    def step(one: Model) -> float:
        answer = one.call("forward_backward", forward_backward_input=loss_input())
        one.call("optim_step", optimizer_params={**DIMUON, "grad_clip_norm": 1.0})
        return float(answer["metrics"]["loss:sum"])

    before = [step(model) for _ in range(3)]
    assert before[2] < before[0]
    path = model.call("save_weights", path="a")["path"]
    assert wire.post("weights_info", tinker_path=path)["optimizer_config"] == {"type": "dimuon"}
    session = wire.session()
    load = {"session_id": session, "path": path, "optimizer": True}
    made = wire.result(wire.post("load_weights", model_seq_id=0, **load))
    resumed = Model(wire, made["model_id"], session)
    assert [step(resumed) for _ in range(3)] == [step(model) for _ in range(3)]
    other = wire.send("load_weights", model_seq_id=1, optimizer_config={"type": "adamw"}, **load)
    assert other.status_code == 400
    assert "holds the state of dimuon, not adamw" in other.json()["detail"]
    fresh = {**load, "optimizer": False, "optimizer_config": {"type": "adamw"}}
    started = Model(
        wire, wire.result(wire.post("load_weights", model_seq_id=2, **fresh))["model_id"], session
    )
    assert started.step() > 0
