"""Every analytic gradient is the slope of its value."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from autograd import numpy as anp
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from support.extent import examples

from tinkex import Datum, ModelInput
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

# Log probabilities as they come, and far beyond: to −45, and above 0, where no model gets.
# Not near 0 and not at it: |x| and the norms of rows have their kinks there.
FINITE = st.floats(-6, -1 / 64) | st.floats(1 / 64, 1) | st.floats(-45, -20)
WEIGHT = st.floats(0, 4)
SUM_OR_MEAN = st.sampled_from(["sum", "mean"])
MODES = st.sampled_from(["sum", "mean", "none"])
TARGETS = st.sampled_from(["logprobs", "probs"])


FAMILIES = {
    "L1": st.builds(L1, target=TARGETS, reduction=SUM_OR_MEAN, lambda_=WEIGHT),
    "L2": st.builds(
        L2,
        target=TARGETS,
        reduction=SUM_OR_MEAN,
        lambda_=WEIGHT,
        center=st.none() | st.just("mean") | st.floats(-2, 2),
        clip=st.none() | st.floats(0.1, 5),
    ),
    "ElasticNet": st.builds(
        ElasticNet, target=TARGETS, reduction=SUM_OR_MEAN, l1_ratio=st.floats(0, 1)
    ),
    "Entropy": st.builds(
        Entropy,
        mode=st.sampled_from(["minimize", "maximize"]),
        reduction=MODES,
        normalize=st.booleans(),
        temperature=st.just(1.0) | st.floats(0.3, 4),
    ),
    "KLDivergence": st.builds(
        KLDivergence,
        reference_field=st.just("reference_logprobs"),
        reduction=MODES,
        direction=st.sampled_from(["forward", "reverse"]),
        symmetric=st.booleans(),
    ),
    "Consistency": st.builds(
        Consistency,
        pair_field=st.just("reference_logprobs"),
        metric=st.sampled_from(["mse", "l1", "cosine", "kl"]),
        reduction=MODES,
    ),
    "Orthogonality": st.builds(
        Orthogonality,
        mode=st.sampled_from(["soft", "hard", "spectral"]),
        normalize=st.booleans(),
        axis=st.sampled_from(["rows", "sequence", "vocabulary"]),
    ),
    "GradientPenalty": st.builds(
        GradientPenalty,
        loss_fn=st.sampled_from(
            [np.sum, np.mean, lambda x: anp.sum(x**2), lambda x: anp.sum(anp.exp(x / 8))]
        ),
        mode=st.sampled_from(["output", "interpolated"]),
        target_norm=st.floats(0, 3),
        seed=st.integers(0, 9),
    ),
}
REGULARIZERS = st.one_of(*FAMILIES.values())


@st.composite
def cases(draw: st.DrawFn) -> tuple[list[np.ndarray], list[Datum]]:
    shapes = st.tuples(st.integers(1, 4)) | st.tuples(st.integers(1, 3), st.integers(1, 4))
    shapes |= st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 2))
    logprobs, data = [], []
    for _ in range(draw(st.integers(1, 2))):
        shape = draw(shapes)
        logprobs.append(draw(arrays.arrays(np.float64, shape, elements=FINITE)))
        reference = draw(arrays.arrays(np.float64, shape, elements=FINITE))
        data.append(Datum(ModelInput.from_ints(range(shape[0])), {"reference_logprobs": reference}))
    return logprobs, data


def total(regularizer: Any, logprobs: list[np.ndarray], data: list[Datum]) -> float:
    return float(np.sum(regularizer.value(logprobs, data)))


@pytest.mark.parametrize("family", FAMILIES)
@settings(max_examples=examples(80))
@given(drawn=st.data(), case=cases())
def test_the_gradient_is_the_slope_of_the_value(family: str, drawn: Any, case: Any) -> None:
    """At points where the value is smooth, central differences agree with the gradient."""
    regularizer = drawn.draw(FAMILIES[family])
    logprobs, data = case
    gradients = regularizer.gradient(logprobs, data)
    for i, array in enumerate(logprobs):
        assert gradients[i].shape == array.shape
        for place in np.ndindex(array.shape):
            slopes = []
            # Steps of two sizes: where they disagree, there is a kink between them.
            for step in (1e-5, 3e-6):
                ends = []
                for side in (step, -step):
                    moved = [piece.copy() for piece in logprobs]
                    moved[i][place] += side
                    ends.append(total(regularizer, moved, data))
                one_sided = [(e - total(regularizer, logprobs, data)) for e in ends]
                slopes.append((ends[0] - ends[1]) / (2 * step))
                smooth = np.isclose(one_sided[0], -one_sided[1], rtol=1e-2, atol=1e-9)
            scale = 1 + abs(total(regularizer, logprobs, data))
            if smooth and np.isclose(*slopes, rtol=1e-4, atol=1e-6 * scale):
                found = gradients[i][place]
                assert np.isclose(found, slopes[0], rtol=2e-4, atol=5e-6 * scale), (place, slopes)


@given(REGULARIZERS, st.sampled_from([-1e30, -1e4, -300.0, -50.0, 0.0, 1e-30]))
@settings(max_examples=examples(150))
def test_extreme_values_do_not_break_it(regularizer: Any, extreme: float) -> None:
    """However improbable the tokens are, values and gradients are numbers."""
    logprobs = np.array([extreme, -1.0, extreme])
    data = [Datum(ModelInput.from_ints(range(3)), {"reference_logprobs": logprobs[::-1].copy()})]
    assert not np.isnan(np.sum(regularizer.value(logprobs, data)))
    assert not np.isnan(regularizer.gradient(logprobs, data)).any()


def test_a_token_of_probability_zero_is_a_limit() -> None:
    """p log p and p log(p/q) are 0 at p = 0, in value and slope."""
    logprobs = np.array([-np.inf, 0.0])
    kl = KLDivergence(reference_logprobs=np.log([0.5, 0.5]))
    for regularizer in (Entropy(), Entropy(temperature=0.5), kl):
        assert np.isfinite(regularizer.value(logprobs))
        assert np.isfinite(regularizer.gradient(logprobs)).all()
