"""What a loss with regularizers gave, term by term."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from attrs import field, frozen


@frozen
class RegularizerOutput:
    """Hold one regularizer's part in a loss.

    Attributes:
        name: The name it has in its `RegularizerSpec`.
        value: Its value, before the weight.
        weight: What the value is multiplied by.
        grad_norm: The L2 norm of its gradient, before the weight, if it was asked for.
        custom: The metrics of the regularizer itself.
    """

    name: str
    value: float
    weight: float
    grad_norm: float | None = None
    custom: Mapping[str, Any] = field(factory=dict)

    @property
    def contribution(self) -> float:
        """Return what it adds to the loss: weight times value."""
        return self.weight * self.value

    @property
    def grad_norm_weighted(self) -> float | None:
        """Return the norm of what it adds to the gradient."""
        return None if self.grad_norm is None else self.weight * self.grad_norm

    def to_dict(self) -> dict[str, Any]:
        """Return a dict for JSON; the two norms are there only if they were asked for."""
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
    """Hold the part of a loss that is no regularizer.

    Attributes:
        value: The loss.
        grad_norm: The L2 norm of its gradient; None if it was not asked for or there is none.
        custom: The metrics that the loss function gave.
    """

    value: float
    grad_norm: float | None = None
    custom: Mapping[str, Any] = field(factory=dict)

    def to_dict(self) -> dict[str, Any]:
        """Return a dict for JSON."""
        return {"value": self.value, "grad_norm": self.grad_norm, "custom": dict(self.custom)}


@frozen
class CustomLossOutput:
    """Hold a loss with all its terms.

    Attributes:
        loss_total: Base loss plus weight times value of each regularizer.
        base_loss: The part that is no regularizer.
        regularizers: Each regularizer's part, by name.
        total_grad_norm: The L2 norm of the gradient of the total, if it was asked for.
    """

    loss_total: float
    base_loss: BaseLossOutput | None = None
    regularizers: Mapping[str, RegularizerOutput] = field(factory=dict)
    total_grad_norm: float | None = None

    @property
    def loss(self) -> float:
        """Return the total."""
        return self.loss_total

    @property
    def regularizer_total(self) -> float:
        """Return what all regularizers add together; 0 without any."""
        return sum((term.contribution for term in self.regularizers.values()), 0.0)

    def to_dict(self) -> dict[str, Any]:
        """Return a dict for JSON; every regularizer has the same keys, with None for no norm."""
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
