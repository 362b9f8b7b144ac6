"""The result of a loss with regularizers, term by term."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen


@frozen
class RegularizerOutput:
    """The contribution of one regularizer to a loss.

    Attributes:
        name: The name in its `RegularizerSpec`.
        value: The unweighted value.
        weight: The weight.
        grad_norm: The L2 norm of the unweighted gradient, if requested.
        custom: The regularizer's own metrics.
    """

    name: str
    value: float
    weight: float
    grad_norm: float | None = None
    custom: Mapping[str, Any] = field(factory=dict)

    @property
    def contribution(self) -> float:
        """Return the contribution to the loss: weight × value."""
        return self.weight * self.value

    @property
    def grad_norm_weighted(self) -> float | None:
        """Return the norm of the weighted gradient."""
        return None if self.grad_norm is None else self.weight * self.grad_norm

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serializable dict; the norms are included only if requested."""
        norms = {"grad_norm": self.grad_norm, "grad_norm_weighted": self.grad_norm_weighted}
        return {
            "name": self.name,
            "value": self.value,
            "weight": self.weight,
            "contribution": self.contribution,
            **({} if self.grad_norm is None else norms),
            "custom": dict(self.custom),
        }


@frozen
class BaseLossOutput:
    """The base loss, without regularizers.

    Attributes:
        value: The loss.
        grad_norm: The L2 norm of its gradient; None if it was not requested or there is no gradient.
        custom: The loss function's metrics.
    """

    value: float
    grad_norm: float | None = None
    custom: Mapping[str, Any] = field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serializable dict."""
        return {"value": self.value, "grad_norm": self.grad_norm, "custom": dict(self.custom)}


@frozen
class CustomLossOutput:
    """A loss with all its terms.

    Attributes:
        loss_total: Base loss plus the weighted sum of the regularizers.
        base_loss: The base loss.
        regularizers: The contribution of each regularizer, by name.
        total_grad_norm: The L2 norm of the total gradient, if requested.
    """

    loss_total: float
    base_loss: BaseLossOutput | None = None
    regularizers: Mapping[str, RegularizerOutput] = field(factory=dict)
    total_grad_norm: float | None = None

    @property
    def loss(self) -> float:
        """Return the total loss."""
        return self.loss_total

    @property
    def regularizer_total(self) -> float:
        """Return the weighted sum of the regularizers; 0 without any."""
        return sum((term.contribution for term in self.regularizers.values()), 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return a JSON-serializable dict; all regularizers have the same keys, missing norms are None."""
        terms = {
            name: {
                "value": term.value,
                "weight": term.weight,
                "contribution": term.contribution,
                "grad_norm": term.grad_norm,
                "grad_norm_weighted": term.grad_norm_weighted,
                "custom": dict(term.custom),
            }
            for name, term in self.regularizers.items()
        }
        whole: dict[str, Any] = {
            "loss_total": self.loss_total,
            "regularizer_total": self.regularizer_total,
            "regularizers": terms,
        }
        if self.base_loss is not None:
            whole["base_loss"] = self.base_loss.to_dict()
        if self.total_grad_norm is not None:
            whole["total_grad_norm"] = self.total_grad_norm
        return whole
