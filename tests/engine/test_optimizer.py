"""AdamW and Dimuon against float64 references."""

from __future__ import annotations

import math

import numpy as np
import pytest
from engine.reference import toy_base

from tinkex.local.engine import AdamSpec, DimuonSpec, EngineError, Example, LoraSpec, Trainer
from tinkex.local.engine.adapter import named_tensors
from tinkex.local.engine.lora import ParameterLayout
from tinkex.local.engine.optimizer import AdamW, Dimuon, orthogonalized


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


def plain_direction(matrix: np.ndarray) -> np.ndarray:
    """Return U Vᵀ by the singular value decomposition, without what has no gradient."""
    u, s, vt = np.linalg.svd(matrix.astype(np.float64), full_matrices=False)
    kept = s > 1e-6 * s[0]
    return np.asarray(u[:, kept] @ vt[kept])


@pytest.mark.parametrize("shape", [(3, 40), (40, 3), (5, 5), (1, 7)])
@pytest.mark.parametrize("rank", [1, 2, 5])
def test_orthogonalized_is_the_polar_factor(shape: tuple[int, int], rank: int) -> None:
    """Singular values become 1, those that are 0 stay 0, at any scale of the matrix."""
    rng = np.random.default_rng(rank)
    matrix = rng.normal(size=(shape[0], rank)) @ rng.normal(size=(rank, shape[1]))
    for scale in (1e-30, 1.0, 1e30):
        found = orthogonalized(matrix * scale)
        np.testing.assert_allclose(found, plain_direction(matrix), atol=1e-7)
    assert not orthogonalized(np.zeros(shape)).any()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize(
    "spec",
    [DimuonSpec(0.02), DimuonSpec(0.1, beta1=0.5, grad_clip_norm=0.5), DimuonSpec(0.1, 0.0, -1)],
)
def test_dimuon_steps_equal_the_reference(spec: DimuonSpec, dtype: type) -> None:
    """Each A and each B of every projection moves by lr along its own orthogonalized momentum."""
    layout = ParameterLayout(toy_base().config, LoraSpec(rank=3))
    rng = np.random.default_rng(0)
    parameters = rng.normal(size=layout.size).astype(dtype)
    expected = {k: v.astype(np.float64) for k, v in named_tensors(layout, parameters, "").items()}
    momenta = {name: np.zeros(value.shape) for name, value in expected.items()}
    state = Dimuon(layout, np.dtype(dtype))
    for _ in range(4):
        gradient = rng.normal(size=layout.size).astype(dtype)
        norm = float(np.linalg.norm(gradient.astype(np.float64)))
        factor = 1.0
        if 0 < spec.grad_clip_norm < norm:
            factor = spec.grad_clip_norm / (norm + 1e-6)
        for name, part in named_tensors(layout, gradient, "").items():
            momenta[name] = spec.beta1 * momenta[name] + (1 - spec.beta1) * factor * part
            expected[name] -= spec.learning_rate * plain_direction(momenta[name])
        assert state.step(parameters, gradient.copy(), spec) == pytest.approx(norm, rel=1e-5)
    tolerance = 2e-4 if dtype is np.float32 else 1e-9
    for name, value in named_tensors(layout, parameters, "").items():
        np.testing.assert_allclose(value, expected[name], atol=tolerance)


def test_a_direction_has_the_norm_of_the_rank() -> None:
    """The size of a step depends on the learning rate and the rank alone, as the service documents."""
    layout = ParameterLayout(toy_base().config, LoraSpec(rank=3))
    parameters = np.zeros(layout.size)
    gradient = np.random.default_rng(1).normal(size=layout.size) * 1e-5
    Dimuon(layout, np.dtype(np.float64)).step(parameters, gradient, DimuonSpec(0.5))
    for matrix in named_tensors(layout, parameters, "").values():
        assert np.linalg.norm(matrix) == pytest.approx(0.5 * math.sqrt(3))


def test_a_trainer_takes_the_settings_of_its_optimizer_alone() -> None:
    """The gradient stays for the step with the right ones."""
    trainer = Trainer(toy_base(), LoraSpec(rank=2, seed=0), optimizer="dimuon")
    data = [Example(np.array([1, 2]), {"target_tokens": np.array([2, 3])})]
    before = trainer.forward_backward(data, "cross_entropy").metrics["loss:sum"]
    with pytest.raises(EngineError, match="optimizer dimuon: send optimizer_params"):
        trainer.optim_step(AdamSpec())
    trainer.optim_step(DimuonSpec(0.05))
    assert trainer.forward(data, "cross_entropy").metrics["loss:sum"] < before
    with pytest.raises(EngineError, match="optimizer adamw: send adam_params"):
        Trainer(toy_base(), LoraSpec(rank=2)).optim_step(DimuonSpec(0.05))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": -1.0}, "optimizer_params.learning_rate is -1.0"),
        ({"beta1": 1.0}, "optimizer_params.beta1 is 1.0"),
        ({"grad_clip_norm": math.nan}, "optimizer_params.grad_clip_norm is nan"),
    ],
)
def test_senseless_settings_of_dimuon_are_refused(options: dict[str, float], message: str) -> None:
    """Each setting is checked and named."""
    with pytest.raises(EngineError, match=message):
        DimuonSpec(**{"learning_rate": 0.1, **options})
