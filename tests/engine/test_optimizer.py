"""AdamW against a float64 reference."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tinkex.local.engine import AdamSpec, EngineError
from tinkex.local.engine.optimizer import AdamW


def reference(
    parameters: np.ndarray, gradients: list[np.ndarray], spec: AdamSpec
) -> tuple[np.ndarray, list[float]]:
    """Run AdamW as its paper writes it, one scalar after the other."""
    p = [float(x) for x in parameters]
    m, v, norms = [0.0] * len(p), [0.0] * len(p), []
    for t, gradient in enumerate(gradients, start=1):
        norm = math.sqrt(sum(float(g) ** 2 for g in gradient))
        norms.append(norm)
        factor = 1.0
        if spec.grad_clip_norm and norm > spec.grad_clip_norm:
            factor = spec.grad_clip_norm / (norm + 1e-6)
        for i, raw in enumerate(gradient):
            g = float(raw) * factor
            p[i] -= spec.learning_rate * spec.weight_decay * p[i]
            m[i] = spec.beta1 * m[i] + (1 - spec.beta1) * g
            v[i] = spec.beta2 * v[i] + (1 - spec.beta2) * g * g
            m_hat, v_hat = m[i] / (1 - spec.beta1**t), v[i] / (1 - spec.beta2**t)
            if m_hat:
                p[i] -= spec.learning_rate * m_hat / (math.sqrt(v_hat) + spec.eps)
    return np.array(p), norms


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "spec",
    [
        AdamSpec(),
        AdamSpec(learning_rate=0.01, weight_decay=0.1),
        AdamSpec(learning_rate=0.01, grad_clip_norm=0.5),
        AdamSpec(learning_rate=0.1, beta1=0.0, beta2=0.999, eps=1e-8, weight_decay=0.3),
        AdamSpec(learning_rate=0.01, beta1=0.5, grad_clip_norm=1e9),
    ],
)
def test_steps_equal_the_reference(spec: AdamSpec, dtype: type) -> None:
    """Several steps with decay and clipping follow the formula."""
    rng = np.random.default_rng(0)
    parameters = rng.normal(size=50).astype(dtype)
    gradients = [
        (rng.normal(size=50) * 10.0 ** rng.integers(-3, 3)).astype(dtype) for _ in range(8)
    ]
    expected, norms = reference(parameters, gradients, spec)
    state = AdamW(50, np.dtype(dtype))
    found = [state.step(parameters, gradient.copy(), spec) for gradient in gradients]
    tolerance = 1e-5 if dtype is np.float32 else 1e-12
    np.testing.assert_allclose(parameters, expected, rtol=tolerance, atol=tolerance)
    np.testing.assert_allclose(found, norms, rtol=1e-6)


def test_untouched_parameters_stay_put() -> None:
    """Without a gradient ever, nothing moves, although eps is tiny; with a tiny one, lr does."""
    parameters = np.ones(3, np.float32)
    state = AdamW(3, np.dtype(np.float32))
    gradient = np.array([0.0, 1e-9, 1.0], np.float32)
    state.step(parameters, gradient.copy(), AdamSpec(learning_rate=0.125))
    np.testing.assert_allclose(parameters, [1.0, 0.875, 0.875], rtol=1e-3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": -1.0}, "adam_params.learning_rate is -1.0"),
        ({"learning_rate": math.nan}, "adam_params.learning_rate is nan"),
        ({"beta1": 1.0}, "adam_params.beta1 is 1.0"),
        ({"beta2": -0.1}, "adam_params.beta2 is -0.1"),
        ({"eps": math.inf}, "adam_params.eps is inf"),
        ({"weight_decay": -0.1}, "adam_params.weight_decay is -0.1"),
        ({"grad_clip_norm": -1.0}, "adam_params.grad_clip_norm is -1.0"),
    ],
)
def test_senseless_settings_are_refused(options: dict[str, float], message: str) -> None:
    """Each setting is checked and named."""
    with pytest.raises(EngineError, match=message):
        AdamSpec(**options)
