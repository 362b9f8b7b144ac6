"""Results of a batch's chunks become the result of the batch."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinkex._core.wire.combine import (
    combine,
    fitted,
    reduce_metrics,
    target_shapes,
    with_loss,
)
from tinkex.errors import DecodeError
from tinkex.types import Datum, ForwardBackwardOutput, ModelInput, TensorData

NUMBERS = st.floats(-1e6, 1e6)
WEIGHTED = st.lists(st.tuples(NUMBERS, st.integers(1, 100)), min_size=1, max_size=8)


def output(metrics: dict[str, float], *logprobs: float, kind: str = "A") -> ForwardBackwardOutput:
    outputs = [{"logprobs": TensorData([value])} for value in logprobs]
    return ForwardBackwardOutput(kind, outputs, metrics)


def test_outputs_are_joined_in_order_under_the_first_type() -> None:
    """Outputs follow each other as their data did; metrics without a rule are averaged."""
    joined = combine([output({"loss": 1.0}, -1.0), output({"loss": 3.0}, -2.0, kind="B")])
    assert joined.loss_fn_output_type == "A"
    assert [item["logprobs"].tolist() for item in joined.loss_fn_outputs] == [[-1.0], [-2.0]]
    assert joined.metrics == {"loss": 2.0}
    assert joined.loss == 2.0


def test_one_result_stays_as_it_is() -> None:
    """A batch of one chunk is not touched."""
    only = output({"x:whatever": 1.0}, -1.0)
    assert combine([only]) is only


def reduce(key: str, values: list[float], weights: list[float] | None = None) -> dict[str, float]:
    return reduce_metrics([{key: value} for value in values], weights or [1.0] * len(values))


def test_each_reduction_does_what_its_name_says() -> None:
    """sum, min, max, weighted mean, slack, unique and the hashes, on the reference's numbers."""
    assert reduce("x:sum", [1, 2, 4]) == {"x:sum": 7}
    assert reduce("x:min", [3, 1, 2]) == {"x:min": 1}
    assert reduce("x:max", [3, 1, 2]) == {"x:max": 3}
    assert reduce("x:mean", [1, 3, 5], [1, 3, 2])["x:mean"] == pytest.approx(20 / 6)
    assert reduce("x:slack", [1, 3, 5], [1, 3, 2])["x:slack"] == pytest.approx(5 - 20 / 6)
    assert reduce("x:unique", [7, 8, 9]) == {"x:unique": 7, "x:unique_1": 8, "x:unique_2": 9}
    assert reduce("x:hash2", [2**63, 2**63, 5]) == {"x:hash2": 5}
    assert reduce("a:b:max", [1, 2]) == {"a:b:max": 2}
    assert reduce("x:other", [1, 3]) == {"x:other": 2}


def test_a_metric_that_not_all_chunks_have_is_left_out() -> None:
    """Only what every chunk reports can be reported for the batch."""
    metrics = [{"x:sum": 1.0, "y:sum": 1.0}, {"x:sum": 1.0}, {"x:sum": 1.0, "z:sum": 1.0}]
    assert reduce_metrics(metrics, [1, 1, 1]) == {"x:sum": 3.0}


def test_chunks_without_outputs_weigh_nothing() -> None:
    """With no outputs at all, a mean is 0 instead of a division by zero."""
    assert reduce("x:mean", [1, 3], [0, 0]) == {"x:mean": 0.0}
    assert reduce("x:slack", [1, 3], [0, 0]) == {"x:slack": 0.0}
    assert reduce("x:mean", [1, 3], [0, 2]) == {"x:mean": 3.0}


def test_undefined_numbers_stay_undefined() -> None:
    """NaN goes through every reduction without an error."""
    for rule in ("sum", "mean", "max", "min", "slack", "hash2", "hash_unordered", "unique"):
        assert any(map(math.isnan, reduce(f"x:{rule}", [float("nan"), 1.0]).values())), rule


@given(WEIGHTED)
def test_a_mean_stays_between_its_values_and_slack_is_never_negative(
    chunks: list[tuple[float, int]],
) -> None:
    """The weighted mean is within the range of its values, as numpy computes it."""
    values, weights = map(list, zip(*chunks, strict=True))
    mean = reduce("x:mean", values, weights)["x:mean"]
    assert mean == pytest.approx(np.average(values, weights=weights), abs=1e-6)
    assert reduce("x:slack", values, weights)["x:slack"] >= -1e-6


@given(st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=6), st.randoms())
def test_hashes_do_not_depend_on_the_order_of_chunks(values: list[int], random: object) -> None:
    """Whatever order chunks come in, their hash is the same and fits 64 bits."""
    shuffled = values[:]
    random.shuffle(shuffled)
    for rule in ("hash2", "hash_unordered"):
        assert reduce(f"x:{rule}", values) == reduce(f"x:{rule}", shuffled)
    assert 0 <= reduce("x:hash2", values)["x:hash2"] < 2**64


# Whose log probabilities they are


def datum(shape: tuple[int, ...]) -> Datum:
    return Datum(
        ModelInput.from_ints(range(1, shape[0] + 1)),
        {"target_tokens": np.ones(shape, np.int64), "weights": np.ones(shape, np.float32)},
    )


def given_shapes(*shapes: tuple[int, ...]) -> ForwardBackwardOutput:
    outputs = [{"logprobs": TensorData(np.zeros(shape, np.float32))} for shape in shapes]
    return ForwardBackwardOutput("A", outputs, {})


def test_log_probabilities_have_the_shape_of_their_targets() -> None:
    """Those of that shape stay as they are, flat ones are brought into it."""
    shapes = target_shapes([datum((3,)), datum((2, 4))])
    right = given_shapes((3,), (2, 4))
    assert fitted(right, shapes) is right
    brought = fitted(given_shapes((3,), (8,)), shapes)
    assert [one["logprobs"].shape for one in brought.loss_fn_outputs] == [(3,), (2, 4)]


@pytest.mark.holds("F58")
@pytest.mark.parametrize(
    ("shapes", "said"),
    [
        ([(3,), (2,)], r"data\[1\]: the targets have shape \(2, 4\).*\(2,\)"),
        ([(4,), (2, 4)], r"data\[0\]: the targets have shape \(3,\).*\(4,\)"),
        ([(3,)], "the result of 2 data has 1 outputs"),
        ([(3,), (2, 4), (1,)], "the result of 2 data has 3 outputs"),
    ],
)
def test_log_probabilities_of_another_shape_are_refused(
    shapes: list[tuple[int, ...]], said: str
) -> None:
    """The error names the datum: what is read as its own would be somebody else's."""
    with pytest.raises(DecodeError, match=said):
        fitted(given_shapes(*shapes), target_shapes([datum((3,)), datum((2, 4))]))


def test_outputs_that_a_server_leaves_out_are_no_mistake() -> None:
    """No outputs at all, no log probabilities in one, or no targets to compare with."""
    shapes = target_shapes([datum((3,)), Datum(ModelInput.from_ints([1, 2]))])
    assert shapes == [(3,), None]
    assert fitted(given_shapes(), shapes).loss_fn_outputs == []
    bare = ForwardBackwardOutput("A", [{}, {"logprobs": TensorData([0.5])}], {})
    assert fitted(bare, shapes) is bare


# A loss that the server leaves to its clients


def given(**outputs: list[float]) -> ForwardBackwardOutput:
    tensors = {name: TensorData(np.array(values, np.float32)) for name, values in outputs.items()}
    return ForwardBackwardOutput("A", [tensors], {"tokens": 2.0})


def asked(**inputs: list[float]) -> list[Datum]:
    tensors = {name: np.array(values, np.float32) for name, values in inputs.items()}
    return [Datum(ModelInput.from_ints([1, 2]), {"target_tokens": [2, 3], **tensors})]


@pytest.mark.parametrize(
    ("output", "data", "loss_fn", "loss"),
    [
        (given(elementwise_loss=[0.5, 0.25], logprobs=[-9, -9]), asked(), "ppo", 0.75),
        (given(logprobs=[-1, -2]), asked(), "cross_entropy", 3.0),
        (given(logprobs=[-1, -2]), asked(weights=[0, 0.5]), "cross_entropy", 1.0),
        (
            given(logprobs=[-1, -2]),
            asked(logprobs=[-1, -2], advantages=[2, -1]),
            "importance_sampling",
            -1.0,
        ),
    ],
)
def test_a_loss_that_the_server_leaves_out_is_put_together(
    output: ForwardBackwardOutput, data: list[Datum], loss_fn: str, loss: float
) -> None:
    """Out of the loss of each token, else by the formula of a loss that is known."""
    found = with_loss(output, data, loss_fn)
    assert found.loss == found.metrics["loss:sum"] == pytest.approx(loss)
    assert found.metrics["tokens"] == 2.0
    assert (found.has_loss, found.computes_loss) == (True, True)


@pytest.mark.parametrize(
    ("output", "loss_fn"),
    [
        (given(logprobs=[-1, -2]), "dppo"),
        (given(logprobs=[-1, -2]), "importance_sampling"),
        (given(values=[1, 2]), "cross_entropy"),
        (ForwardBackwardOutput("A", [], {}), "cross_entropy"),
    ],
)
def test_a_loss_that_cannot_be_known_stays_unknown(
    output: ForwardBackwardOutput, loss_fn: str
) -> None:
    """An unknown formula, missing inputs or outputs: the loss is NaN, and says that it is none."""
    found = with_loss(output, asked(weights=[1, 1]), loss_fn)
    assert math.isnan(found.loss)
    assert not found.has_loss


def test_the_servers_own_loss_counts() -> None:
    """What it says is not computed again."""
    output = ForwardBackwardOutput(
        "A", given(elementwise_loss=[1, 1]).loss_fn_outputs, {"loss": 5.0}
    )
    assert with_loss(output, asked(), "cross_entropy") is output
