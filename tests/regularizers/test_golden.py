"""The numbers of behaviour.md A26."""

from __future__ import annotations

import numpy as np
import pytest
from regularizers.golden import DATUM, LOGPROBS, ROWS, SPECS, base_loss

from tinkex.regularizers import Pipeline, RegularizerSpec, gradient_norm


@pytest.mark.parametrize(("name", "fn", "weight", "value", "norm"), ROWS, ids=[r[0] for r in ROWS])
def test_each_regularizer_has_its_value_and_true_gradient(name, fn, weight, value, norm) -> None:
    """Values agree with the reference, and KL and consistency have their true gradients."""
    assert fn.value(LOGPROBS, [DATUM]) == pytest.approx(value, abs=5e-5)
    assert np.linalg.norm(fn.gradient(LOGPROBS, [DATUM])) == pytest.approx(norm, abs=5e-5)


@pytest.mark.parametrize("logprobs", [LOGPROBS, [LOGPROBS]], ids=["array", "batch of one"])
def test_the_totals(logprobs) -> None:
    """Base, regularizers, total and the norms of both gradients are the reference's."""
    batch = isinstance(logprobs, list)
    base = (lambda data, lps: base_loss(data, lps[0])) if batch else base_loss
    output = Pipeline(SPECS).compute([DATUM], logprobs, base, track_grad_norms=True)
    assert output.base_loss is not None
    assert output.base_loss.value == pytest.approx(1.08)
    assert output.regularizer_total == pytest.approx(0.2216, abs=5e-5)
    assert output.loss_total == pytest.approx(1.30156416, abs=1e-6)
    assert output.base_loss.grad_norm == pytest.approx(0.3162, abs=5e-5)
    assert output.total_grad_norm == pytest.approx(0.3195, abs=5e-5)


def test_gradient_norms_of_plain_functions() -> None:
    """The norm for a sum is √n, for a sum of squares 2‖x‖, and a matrix as a value is summed."""
    assert gradient_norm(lambda d, x: x.sum(), LOGPROBS) == pytest.approx(3.1623, abs=5e-5)
    assert gradient_norm(lambda d, x: (x**2).sum(), LOGPROBS) == pytest.approx(7.6681, abs=5e-5)
    assert gradient_norm(lambda d, x: x.mean(), LOGPROBS) == pytest.approx(0.3162, abs=5e-5)
    assert gradient_norm(lambda d, x: x * 2, np.zeros((2, 3))) == pytest.approx(2 * 6**0.5)


def test_a_function_without_a_gradient_has_norm_zero_and_a_warning(caplog) -> None:
    """What cannot be differentiated does not stop whoever only watches norms."""
    assert gradient_norm(lambda d, x: 3.0, LOGPROBS) == 0.0
    assert "no gradient" in caplog.text


def test_telemetry_run_of_the_reference() -> None:
    """One L1 at weight 0.01 adds 0.108 to 1.08."""
    output = Pipeline([RegularizerSpec(ROWS[0][1], 0.01)]).compute([DATUM], LOGPROBS, base_loss)
    assert output.loss_total == pytest.approx(1.188)
    assert output.regularizer_total == pytest.approx(0.108)
