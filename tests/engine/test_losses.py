"""Each loss against a plain float64 implementation, its configuration and its metrics."""

from __future__ import annotations

import math

import numpy as np
import pytest
from engine.reference import (
    LOSS_DEFAULTS,
    examples,
    gradients,
    plain_loss,
    toy_base,
    toy_trainer,
)
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tinkex.local.engine import LOSSES, EngineError, Example
from tinkex.local.engine.losses import Loss, loss_metrics

numbers = st.floats(-6, 6, width=32)
N = 7


@st.composite
def loss_cases(draw: st.DrawFn) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    logprobs = draw(arrays(np.float64, N, elements=st.floats(-12, 0)))
    inputs = {
        name: draw(arrays(np.float32, N, elements=numbers)) for name in ("advantages", "weights")
    }
    inputs["logprobs"] = draw(arrays(np.float32, N, elements=st.floats(-12, 0, width=32)))
    for mask in ("sequence_ratio_mask", "sampled_mask"):
        inputs[mask] = draw(arrays(np.float32, N, elements=st.sampled_from([0, 1])))
    return logprobs, inputs


@pytest.mark.parametrize("name", LOSSES)
@given(
    case=loss_cases(),
    low=st.floats(0, 1),
    width=st.floats(0, 3),
    beta=st.floats(0, 2),
    kl_coeff=st.floats(0, 2),
)
def test_loss_and_slope_equal_the_plain_formula(
    name: str,
    case: tuple[np.ndarray, dict[str, np.ndarray]],
    low: float,
    width: float,
    beta: float,
    kl_coeff: float,
) -> None:
    """Value and dL/dl agree for any logprobs, advantages and configuration."""
    logprobs, inputs = case
    given_config = {
        "clip_low_threshold": low,
        "clip_high_threshold": low + width,
        "beta": beta,
        "kl_coeff": kl_coeff,
    }
    config = {key: given_config[key] for key in LOSS_DEFAULTS[name]}
    found = Loss.resolve(name, config)(logprobs, inputs, "data[0]")
    value, slope = plain_loss(name, logprobs, inputs, config)
    assert float(found.value.sum()) == pytest.approx(value, rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(found.gradient, slope, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", LOSSES)
def test_defaults_are_those_documented(name: str) -> None:
    """A loss without configuration uses the table's defaults."""
    assert dict(Loss.resolve(name, None).config) == LOSS_DEFAULTS[name]


@pytest.mark.parametrize("name", LOSSES)
def test_reported_loss_is_the_sum_of_the_formula(name: str) -> None:
    """`loss:sum` is the plain sum over tokens and examples at the reported logprobs."""
    trainer = toy_trainer(toy_base())
    data = examples((6, 2, 9), loss=name)
    output = trainer.forward(data, name)
    expected = sum(
        plain_loss(name, lp.astype(np.float64), e.loss_inputs, LOSS_DEFAULTS[name])[0]
        for e, lp in zip(data, output.logprobs, strict=True)
    )
    assert output.metrics["loss:sum"] == pytest.approx(expected, rel=1e-5)
    assert output.metrics == trainer.forward_backward(data, name).metrics


@pytest.mark.parametrize("name", LOSSES)
def test_metrics_of_chunks_combine_to_those_of_the_whole(name: str) -> None:
    """Every metric's reduction, applied to chunks, gives what one call would."""
    trainer = toy_trainer(toy_base())
    data = examples((6, 2, 9, 4), loss=name)
    whole = trainer.forward(data, name).metrics
    parts = [trainer.forward(data[:1], name).metrics, trainer.forward(data[1:], name).metrics]
    fold = {"sum": sum, "min": min, "max": max}
    for key, value in whole.items():
        reduction = key.split(":")[1]
        assert fold[reduction](part[key] for part in parts) == pytest.approx(value, rel=1e-6), key


def test_rl_metrics_count_what_they_say() -> None:
    """Ratios and clipping are told over tokens with an advantage only."""
    logprobs = np.array([-1.0, -1.0, -1.0])
    inputs = {
        "logprobs": np.array([-1.0, -2.0, -9.0], np.float32),
        "advantages": np.array([1.0, 1.0, 0.0], np.float32),
    }
    result = Loss.resolve("ppo", None)(logprobs, inputs, "data[0]")
    assert loss_metrics([result]) == {
        "loss:sum": pytest.approx(-1 - 1.2),
        "tokens:sum": 2.0,
        "ratio:min": 1.0,
        "ratio:max": pytest.approx(math.e),
        "clipped:sum": 1.0,
    }


def test_cross_entropy_without_weights_counts_every_token() -> None:
    """Absent weights are all one."""
    trainer = toy_trainer(toy_base())
    (example,) = examples((5,))
    del example.loss_inputs["weights"]
    output = trainer.forward([example], "cross_entropy")
    assert output.metrics["loss:sum"] == pytest.approx(-float(output.logprobs[0].sum()), rel=1e-6)


def test_logprobs_have_the_shape_of_their_targets() -> None:
    """Examples with [N] and [N, K] targets of different K may share a call."""
    trainer = toy_trainer(toy_base())
    data = examples((5,)) + examples((4,), k=3) + examples((6,), k=2)
    output = trainer.forward(data, "cross_entropy")
    assert [lp.shape for lp in output.logprobs] == [(5,), (4, 3), (6, 2)]
    for example, lp in zip(data, output.logprobs, strict=True):
        alone = trainer.forward([example], "cross_entropy").logprobs[0]
        np.testing.assert_allclose(lp, alone, atol=1e-6)


@pytest.mark.parametrize("name", ["importance_sampling", "ppo", "cispo", "gspo"])
def test_masked_tokens_cannot_spoil_the_loss(name: str) -> None:
    """A hopeless sampler logprob is harmless where the advantage is zero."""
    inputs = {
        "logprobs": np.array([-1.0, -5000.0], np.float32),
        "advantages": np.array([1.0, 0.0], np.float32),
        "sequence_ratio_mask": np.array([1.0, 0.0], np.float32),
    }
    result = Loss.resolve(name, None)(np.array([-1.0, -1.0]), inputs, "data[0]")
    assert np.isfinite(result.value).all()
    assert result.gradient[1] == 0


def test_infinite_ratio_is_refused_by_name() -> None:
    """A ratio that overflows is the caller's mistake and names the example."""
    trainer = toy_trainer(toy_base())
    data = examples((4, 3), loss="importance_sampling")
    data[1].loss_inputs["logprobs"][:] = -5000
    data[1].loss_inputs["advantages"][:] = 1
    with pytest.raises(EngineError, match=r"data\[1\]: the importance_sampling loss is not finite"):
        trainer.forward_backward(data, "importance_sampling")
    assert trainer._accumulated is None


@pytest.mark.parametrize(
    ("name", "config", "message"),
    [
        ("nonsense", None, r"loss_fn 'nonsense' is unknown \(known: cross_entropy, "),
        (
            "ppo",
            {"epsilon": 0.2},
            r"loss_fn_config\['epsilon'\] is unknown to ppo \(allowed: clip_low",
        ),
        ("cross_entropy", {"beta": 1}, r"unknown to cross_entropy \(allowed: none\)"),
        ("dro", {"beta": math.nan}, r"loss_fn_config\['beta'\] is nan, expected a finite number"),
        ("dro", {"beta": "1"}, r"loss_fn_config\['beta'\] is '1', expected a finite number"),
        ("dro", {"beta": -1.0}, r"loss_fn_config\['beta'\] is -1.0, expected at least 0"),
        ("stable_reinforce", {"kl_coeff": -1}, r"\['kl_coeff'\] is -1.0, expected at least 0"),
        ("ppo", {"clip_low_threshold": 2.0}, "expected 0 <= low <= high"),
    ],
)
def test_wrong_configuration_is_refused(
    name: str, config: dict[str, float] | None, message: str
) -> None:
    """Unknown losses, keys and senseless values are named."""
    with pytest.raises(EngineError, match=message):
        Loss.resolve(name, config)


def test_importance_sampling_takes_several_targets_at_each_position() -> None:
    """With [N, K] tensors the loss sums over all cells, as over so many examples of one column."""
    trainer = toy_trainer(toy_base())
    data = examples((5, 3), loss="importance_sampling", k=4)
    output = trainer.forward_backward(data, "importance_sampling")
    together = gradients(trainer)
    assert [lp.shape for lp in output.logprobs] == [(5, 4), (3, 4)]
    columns = [
        Example(one.tokens, {name: tensor[:, k] for name, tensor in one.loss_inputs.items()})
        for one in data
        for k in range(4)
    ]
    apart_trainer = toy_trainer(toy_base())
    apart = apart_trainer.forward_backward(columns, "importance_sampling")
    assert output.metrics == pytest.approx(apart.metrics, rel=1e-9)
    for name, gradient in gradients(apart_trainer).items():
        np.testing.assert_allclose(together[name], gradient, rtol=1e-8, atol=1e-10)


def test_stable_reinforce_bounds_each_token_by_its_advantage() -> None:
    """However far the weights have moved, a token pulls no harder than in REINFORCE."""
    inputs = {
        "logprobs": np.array([-3.0, -3.0, -60.0, -0.1]),
        "advantages": np.array([2.0, -1.0, 1.0, 1.0]),
        "sampled_mask": np.array([1.0, 1.0, 1.0, 1.0]),
    }
    logprobs = np.array([-3.0, -3.0, -0.5, -30.0])
    result = Loss.resolve("stable_reinforce", None)(logprobs, inputs, "data[0]")
    # On-policy it is REINFORCE; then a ratio far above 1, and one far below.
    np.testing.assert_allclose(result.gradient[:3], [-2.0, 1.0, -1.0])
    assert abs(result.gradient[3]) < 1e-12
    assert result.clipped is not None
    assert result.clipped.tolist() == [False, False, True, False]


def test_several_targets_are_refused_where_the_loss_has_no_use_for_them() -> None:
    """The other RL losses refuse [N, K] targets."""
    tokens = np.array([1, 2])
    inputs = {"target_tokens": np.ones((2, 2), np.int64)}
    inputs |= {key: np.zeros((2, 2), np.float32) for key in ("logprobs", "advantages")}
    with pytest.raises(EngineError, match=r"has shape \(2, 2\), expected \(2,\)$"):
        toy_trainer(toy_base()).forward([Example(tokens, inputs)], "ppo")
