"""The optimizers, with global-norm clipping, over one flat vector: AdamW and Dimuon."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from attrs import frozen

from tinkex.local.engine.arena import Array
from tinkex.local.engine.errors import EngineError
from tinkex.local.engine.lora import ParameterLayout

# Singular values below this share of the largest one are noise of the gram matrix.
_RANK_TOLERANCE = 1e-6


@frozen
class AdamSpec:
    """Settings of one optimizer step; `grad_clip_norm` 0 means no clipping."""

    learning_rate: float = 1e-4
    beta1: float = 0.9
    beta2: float = 0.95
    eps: float = 1e-12
    weight_decay: float = 0.0
    grad_clip_norm: float = 0.0

    def __attrs_post_init__(self) -> None:
        for name in ("learning_rate", "eps", "weight_decay", "grad_clip_norm"):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise EngineError(f"adam_params.{name} is {value}, expected a number of at least 0")
        for name in ("beta1", "beta2"):
            value = getattr(self, name)
            if not 0 <= value < 1:
                raise EngineError(f"adam_params.{name} is {value}, expected 0 <= {name} < 1")


@frozen
class DimuonSpec:
    """Settings of one Dimuon step; `grad_clip_norm` 0 or less means no clipping."""

    learning_rate: float
    beta1: float = 0.9
    grad_clip_norm: float = 0.0

    def __attrs_post_init__(self) -> None:
        if not (math.isfinite(self.learning_rate) and self.learning_rate >= 0):
            raise EngineError(
                f"optimizer_params.learning_rate is {self.learning_rate}, expected a number of at "
                "least 0"
            )
        if not 0 <= self.beta1 < 1:
            raise EngineError(f"optimizer_params.beta1 is {self.beta1}, expected 0 <= beta1 < 1")
        if not math.isfinite(self.grad_clip_norm):
            raise EngineError(
                f"optimizer_params.grad_clip_norm is {self.grad_clip_norm}, expected a number"
            )


class AdamW:
    """Moments of a flat parameter vector (Loshchilov and Hutter 2019, as PyTorch writes it).

    p ← p·(1 - lr·wd);  m ← β1·m + (1-β1)·g;  v ← β2·v + (1-β2)·g²;
    p ← p - lr/(1-β1ᵗ) · m / (√v/√(1-β2ᵗ) + eps)

    The default eps of 1e-12 is far below what float32 resolves beside √v, so a parameter that
    never had a gradient (m = v = 0) stays where it is and one with a tiny gradient moves by lr.
    """

    name = "adamw"

    def __init__(self, size: int, dtype: np.dtype[Any]) -> None:
        self.m = np.zeros(size, dtype)
        self.v = np.zeros(size, dtype)
        self.t = 0

    @property
    def state(self) -> dict[str, Array]:
        """The vectors that a checkpoint keeps."""
        return {"m": self.m, "v": self.v}

    def step(self, parameters: Array, gradient: Array, spec: AdamSpec) -> float:
        """Update the parameters in place and use the gradient up; return its unclipped L2 norm."""
        norm = _clip(gradient, spec.grad_clip_norm)
        self.t += 1
        if spec.weight_decay:
            parameters *= 1.0 - spec.learning_rate * spec.weight_decay
        self.m *= spec.beta1
        self.m += gradient * (1.0 - spec.beta1)
        gradient *= gradient
        gradient *= 1.0 - spec.beta2
        self.v *= spec.beta2
        self.v += gradient
        denominator = np.sqrt(self.v, out=gradient)
        denominator /= math.sqrt(1.0 - spec.beta2**self.t)
        denominator += spec.eps
        update = np.zeros_like(self.m)
        np.divide(self.m, denominator, out=update, where=denominator > 0)
        update *= spec.learning_rate / (1.0 - spec.beta1**self.t)
        parameters -= update
        return norm


class Dimuon:
    """Momentum of a flat parameter vector, orthogonalized matrix by matrix (Muon).

    For each matrix P of an adapter (every A and every B), with its gradient G:

    M ← β1·M + (1-β1)·G;  P ← P - lr·U·Vᵀ, where M = U·S·Vᵀ is the singular value decomposition

    Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"
    (https://kellerjordan.github.io/posts/muon/), with a moving average for the momentum. Muon leaves
    vectors, such as biases and norms, to Adam; an adapter has none, so that Adam has nothing to do
    here. The hosted service does not publish its Dimuon; its documentation says that the learning
    rate applies to a direction whose Frobenius norm is the root of the rank, for all LoRA matrices
    alike, as is the case here. Directions without a gradient (S = 0) do not move. U·Vᵀ is computed
    from the Gram matrix of the thin side, M·(MᵀM)^(-1/2), in float64, not by Newton-Schulz iterations,
    which only pay on accelerators.
    """

    name = "dimuon"

    def __init__(self, layout: ParameterLayout, dtype: np.dtype[Any]) -> None:
        self._layout = layout
        self.m = np.zeros(layout.size, dtype)
        self.t = 0

    @property
    def state(self) -> dict[str, Array]:
        """The vectors that a checkpoint keeps."""
        return {"m": self.m}

    def step(self, parameters: Array, gradient: Array, spec: DimuonSpec) -> float:
        """Update the parameters in place and use the gradient up; return its unclipped L2 norm."""
        norm = _clip(gradient, spec.grad_clip_norm)
        self.t += 1
        self.m *= spec.beta1
        self.m += gradient * (1.0 - spec.beta1)
        matrices = zip(self._layout.named(self.m), self._layout.named(parameters), strict=True)
        for (_, *momenta, _), (_, *values, _) in matrices:
            for momentum, view in zip(momenta, values, strict=True):
                np.subtract(view, spec.learning_rate * orthogonalized(momentum), out=view)
        return norm


def orthogonalized(matrix: Array) -> Array:
    """Return U·Vᵀ of a matrix U·S·Vᵀ, in its dtype; zero where S is."""
    wide = matrix.shape[0] < matrix.shape[1]
    thin = (matrix.T if wide else matrix).astype(np.float64)
    scale = float(np.abs(thin).max(initial=0.0))
    if scale == 0.0:
        return np.zeros_like(matrix)
    thin /= scale
    squares, vectors = np.linalg.eigh(thin.T @ thin)
    singular = np.sqrt(np.maximum(squares, 0.0))
    kept = singular > _RANK_TOLERANCE * singular[-1]
    inverse = np.divide(1.0, singular, out=np.zeros_like(singular), where=kept)
    direction = (thin @ (vectors * inverse)) @ vectors.T
    found: Array = (direction.T if wide else direction).astype(matrix.dtype)
    return found


def _clip(gradient: Array, most: float) -> float:
    """Clip a gradient in place to an L2 norm, if that is above 0; return the norm it had."""
    norm = math.sqrt(float(np.einsum("i,i->", gradient, gradient, dtype=np.float64)))
    if most > 0 and norm > most:
        gradient *= most / (norm + 1e-6)  # 1e-6 as in PyTorch
    return norm
