"""The options of the eight regularizers, their metrics, and what they refuse."""

from __future__ import annotations

import attrs
import numpy as np
import pytest

from tinkex import Datum, ModelInput
from tinkex.errors import ValidationError
from tinkex.regularizers import (
    L1,
    L2,
    Consistency,
    ElasticNet,
    Entropy,
    GradientPenalty,
    KLDivergence,
    Orthogonality,
)

X = np.array([-1.0, -3.0])


def datum(**fields) -> Datum:
    length = len(next(iter(fields.values())))
    arrays = {name: np.array(value, np.float64) for name, value in fields.items()}
    return Datum(ModelInput.from_ints(range(length)), arrays)


def test_they_are_frozen_values() -> None:
    """A regularizer cannot change, and two of the same options are equal."""
    with pytest.raises(attrs.exceptions.FrozenInstanceError):
        L1().reduction = "mean"  # type: ignore[misc]
    assert L2(center="mean") == L2(center="mean") != L2()


def test_targets() -> None:
    """Log probabilities, probabilities, or a field of the data, which has no gradient."""
    data = [datum(drift=[2.0, -5.0])]
    assert L1().value(X) == 4
    assert L1(target="probs").value(X) == pytest.approx(np.exp(X).sum())
    field = L1(target=("field", "drift"))
    assert field.value(X, data) == 7
    assert (field.gradient(X, data) == 0).all()


def test_l2_centers_and_clips() -> None:
    """c = x − center, bounded by clip, squared."""
    assert L2(center=-1.0).value(X) == 4
    assert L2(center="mean").value(X) == 2
    assert L2(clip=2.0).value(X) == 5
    assert L2(clip=2.0).gradient(X).tolist() == [-2.0, 0.0]
    # Centered on −4: 3, 2 and −5, which is clipped and still moves the mean.
    both = L2(center="mean", clip=4.0)
    assert both.gradient(np.array([-1.0, -2.0, -9.0])) == pytest.approx([8 / 3, 2 / 3, -10 / 3])


def test_a_batch_reduces_over_all_its_elements_or_rows() -> None:
    """A mean over a batch is that of all elements, and each datum is a row of its own."""
    batch = [np.array([-1.0]), np.array([-2.0, -6.0])]
    assert L1(reduction="mean").value(batch) == 3
    assert [g.tolist() for g in L1(reduction="mean").gradient(batch)] == [[-1 / 3], [-1 / 3] * 2]
    rows = [np.log([0.5, 0.5]), np.log([0.25] * 4)]
    assert Entropy().value(rows) == pytest.approx((np.log(2) + np.log(4)) / 2)
    assert Entropy(reduction="none").value(rows) == pytest.approx([np.log(2), np.log(4)])


def test_entropy_normalized_is_at_most_one() -> None:
    """A uniform row has normalized entropy 1, whatever its length."""
    assert Entropy(normalize=True).value(np.log([0.2] * 5)) == pytest.approx(1)


def test_entropy_of_the_matrix_goes_by_rows() -> None:
    """The last axis is the distribution."""
    matrix = np.log([[0.5, 0.5], [1.0 - 1e-12, 1e-12]])
    assert Entropy(reduction="sum").value(matrix) == pytest.approx(np.log(2), abs=1e-9)


def test_kl_takes_its_reference_in_three_ways() -> None:
    """An array, a field, or a function of the data give the same divergence."""
    log_q = np.log([0.5, 0.5])
    log_p = np.log([0.9, 0.1])
    data = [datum(ref=log_q)]
    expected = 0.9 * np.log(1.8) + 0.1 * np.log(0.2)
    for kl in (
        KLDivergence(reference_logprobs=log_q),
        KLDivergence(reference_field="ref"),
        KLDivergence(compute_reference=lambda data: data[0].loss_fn_inputs["ref"].numpy()),
    ):
        assert kl.value(log_p, data) == pytest.approx(expected, rel=1e-6)


def test_consistency_measures() -> None:
    """mse, l1, cosine and kl of two small arrays."""
    data = [datum(original_logprobs=[-1.0, -1.0])]
    assert Consistency().value(X, data) == 2
    assert Consistency(metric="l1").value(X, data) == 1
    cosine = 1 - 4 / (10**0.5 * 2**0.5)
    assert Consistency(metric="cosine", reduction="sum").value(X, data) == pytest.approx(cosine)
    jeffreys = (np.exp(-3.0) - np.exp(-1.0)) * -2.0 / 2
    assert Consistency(metric="kl").value(X, data) == pytest.approx(jeffreys)


def test_orthogonality_of_rows() -> None:
    """Orthogonal rows cost nothing; equal ones cost 2, one for each place off the diagonal."""
    assert Orthogonality().value(np.eye(3)) == 0
    assert Orthogonality().value(np.ones((2, 4))) == pytest.approx(2)
    assert Orthogonality(mode="hard", normalize=False).value(2 * np.eye(2)) == 18
    assert Orthogonality(mode="spectral", normalize=False).value(2 * np.eye(2)) == 36
    assert Orthogonality(axis="vocabulary").value(np.ones((2, 4))) == pytest.approx(12)
    assert Orthogonality(axis="sequence").value(np.ones((2, 3, 4))) == pytest.approx(6)
    assert Orthogonality().value(X) == 0


def test_interpolated_gradient_penalty_draws_once_for_value_and_gradient() -> None:
    """One ε is drawn for a call, from a seed if it is given."""
    data = [datum(reference_logprobs=[0.0, 0.0])]
    penalty = GradientPenalty(loss_fn=lambda x: (x**2).sum(), mode="interpolated", seed=3)
    share = np.random.default_rng(3).random()
    assert penalty.value(X, data) == pytest.approx((2 * share * 10**0.5 - 1) ** 2)
    norm = 2 * share * 10**0.5
    slope = 4 * share * (norm - 1) * X / 10**0.5
    assert penalty.gradient(X, data) == pytest.approx(slope)
    fresh = attrs.evolve(penalty, seed=None)
    assert fresh.value(X, data) != fresh.value(X, data)


@pytest.mark.parametrize(
    ("regularizer", "names"),
    [
        (L1(), {"l1_raw", "l1_mean"}),
        (L2(), {"l2_raw", "l2_mean", "center"}),
        (ElasticNet(), {"elastic_net", "l1_ratio"}),
        (Entropy(), {"entropy", "mode", "temperature"}),
        (
            KLDivergence(reference_logprobs=X),
            {"kl_divergence", "kl_direction", "kl_symmetric", "kl_max", "kl_min"},
        ),
        (Consistency(pair_field="pair"), {"consistency_metric"}),
        (Orthogonality(), {"orthogonality"}),
        (GradientPenalty(loss_fn=np.sum), set()),
    ],
    ids=lambda value: type(value).__name__,
)
def test_metrics(regularizer, names) -> None:
    """Each tells its own metrics, and calling it like a loss function gives both."""
    data = [datum(pair=[0.0, 0.0])]
    value, metrics = regularizer(data, X)
    assert value == regularizer.value(X, data)
    assert set(metrics) == names


@pytest.mark.parametrize(
    ("make", "path"),
    [
        (lambda: L1(target="logits"), "target"),
        (lambda: L1(reduction="max"), "reduction"),
        (lambda: L1(lambda_=-1.0), "lambda_"),
        (lambda: L2(center="median"), "center"),
        (lambda: L2(clip=0.0), "clip"),
        (lambda: ElasticNet(l1_ratio=1.5), "l1_ratio"),
        (lambda: Entropy(mode="up"), "mode"),
        (lambda: Entropy(temperature=0.0), "temperature"),
        (lambda: KLDivergence(), "reference_logprobs"),
        (lambda: KLDivergence(reference_field="x", direction="left"), "direction"),
        (lambda: Consistency(metric="huber"), "metric"),
        (lambda: Orthogonality(mode="firm"), "mode"),
        (lambda: GradientPenalty(loss_fn=3), "loss_fn"),
        (lambda: GradientPenalty(loss_fn=np.sum, mode="inside"), "mode"),
    ],
)
def test_options_that_do_not_exist_are_refused(make, path) -> None:
    """The error names the option when the object is made."""
    with pytest.raises(ValidationError) as caught:
        make()
    assert caught.value.path == path


def test_references_that_are_missing_or_misshapen() -> None:
    """A field that is not there, data that are not there, and another shape name their place."""
    with pytest.raises(ValidationError, match=r"data\[0\].loss_fn_inputs\['original_logprobs'\]"):
        Consistency().value(X, [datum(other=[1.0])])
    with pytest.raises(ValidationError, match="has 0 data"):
        Consistency().value(X, [])
    with pytest.raises(ValidationError, match="expected a Datum"):
        Consistency().value(X, [object()])
    with pytest.raises(ValidationError, match="shape mismatch in KL divergence"):
        KLDivergence(reference_logprobs=[1.0, 2.0, 3.0]).value(X)
    with pytest.raises(ValidationError, match="1 references for 2 arrays"):
        KLDivergence(reference_logprobs=X).value([X, X])
