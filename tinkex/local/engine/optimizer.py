"""AdamW with global-norm clipping, over one flat vector."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from attrs import frozen

from tinkex.local.engine.arena import Array
from tinkex.local.engine.errors import EngineError


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


class AdamW:
    """Moments of a flat parameter vector (Loshchilov and Hutter 2019, as PyTorch writes it).

    p ← p·(1 - lr·wd);  m ← β1·m + (1-β1)·g;  v ← β2·v + (1-β2)·g²;
    p ← p - lr/(1-β1ᵗ) · m / (√v/√(1-β2ᵗ) + eps)

    The default eps of 1e-12 is far below what float32 resolves beside √v, so a parameter that
    never had a gradient (m = v = 0) stays where it is and one with a tiny gradient moves by lr.
    """

    def __init__(self, size: int, dtype: np.dtype[Any]) -> None:
        self.m = np.zeros(size, dtype)
        self.v = np.zeros(size, dtype)
        self.t = 0

    def step(self, parameters: Array, gradient: Array, spec: AdamSpec) -> float:
        """Update the parameters in place and use the gradient up; return its unclipped L2 norm."""
        norm = math.sqrt(float(np.einsum("i,i->", gradient, gradient, dtype=np.float64)))
        if spec.grad_clip_norm > 0 and norm > spec.grad_clip_norm:
            gradient *= spec.grad_clip_norm / (norm + 1e-6)  # 1e-6 as in PyTorch
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
