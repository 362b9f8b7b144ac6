"""Gradients of torch code."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tinkex.errors import MissingDependencyError, ValidationError
from tinkex.losses.loss_function import FloatArray, LossFunction, RawResult, unpack

try:
    import torch
except ImportError as error:
    raise MissingDependencyError("backend='torch'", "torch") from error


def differentiate(loss_fn: LossFunction, data: Any, logprobs: Sequence[FloatArray]) -> RawResult:
    """Call a function on float32 leaf tensors and differentiate it."""
    leaves = [torch.tensor(array, dtype=torch.float32, requires_grad=True) for array in logprobs]
    with torch.enable_grad():
        loss, metrics, gradients = unpack(loss_fn(data, list(leaves)))
    if gradients is not None:
        return RawResult(loss, metrics, gradients)
    if not isinstance(loss, torch.Tensor) or not loss.requires_grad:
        raise ValidationError(
            "returned a loss that does not depend on the log probabilities: it must be a torch "
            "tensor computed from them, without .detach() or .item()",
            path="loss_fn",
        )
    if loss.numel() != 1:
        raise ValidationError(
            f"returned a loss of shape {tuple(loss.shape)}; it must be one number, such as the sum",
            path="loss_fn",
        )
    slopes = torch.autograd.grad(loss.sum(), leaves, allow_unused=True)
    return RawResult(loss, metrics, slopes)
