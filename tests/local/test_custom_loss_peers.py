"""The interpreter of custom losses against torch, where that is installed (see tests/engine/test_peers.py).

Each loss is written in torch, traced by torch.fx as the official client traces it, and must come to
torch's own value and gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from attrs import define

from tinkex.local.custom_loss import checked_loss

pytestmark = pytest.mark.filterwarnings("ignore")

torch = pytest.importorskip("torch")

Loss = Callable[..., tuple[Any, dict[str, Any]]]


@define
class Input:
    name: str
    rank: int


@define
class Node:
    op: str
    name: str
    target: str
    args: list[Any]
    kwargs: dict[str, Any]


def encoded(value: Any) -> Any:
    """Return an argument in the form of the wire."""
    if isinstance(value, torch.fx.Node):
        return {"ref": value.name}
    if isinstance(value, float) and not math.isfinite(value):
        return {"float": str(value)}
    if isinstance(value, list):
        return [encoded(one) for one in value]
    if isinstance(value, tuple):
        return {"tuple": [encoded(one) for one in value]}
    if isinstance(value, dict):
        return {"dict": {key: encoded(one) for key, one in value.items()}}
    if isinstance(value, slice):
        return {"slice": [encoded(one) for one in (value.start, value.stop, value.step)]}
    if value is ...:
        return {"ellipsis": True}
    if isinstance(value, torch.dtype):
        return {"dtype": str(value).removeprefix("torch.")}
    return value


def traced(loss: Loss, ranks: dict[str, int]) -> Any:
    """Trace a loss and check its graph."""
    nodes = []
    for node in torch.fx.symbolic_trace(loss).graph.nodes:
        target = str(node.target)
        if node.op == "call_function":
            target = torch.fx.node._get_qualified_name(node.target)
            target = target.replace("_operator.", "operator.", 1)
        arguments = [encoded(one) for one in node.args]
        keywords = {key: encoded(one) for key, one in node.kwargs.items()}
        nodes.append(Node(node.op, node.name, target, arguments, keywords))
    return checked_loss([Input(name, rank) for name, rank in ranks.items()], nodes)


def ppo(logprobs: Any, old: Any, adv: Any) -> Any:
    ratio = torch.exp(logprobs - old)
    gain = torch.minimum(ratio * adv, torch.clamp(ratio, 0.8, 1.2) * adv)
    clipped = ((ratio < 0.8) | (ratio > 1.2)).float().mean()
    return -gain.sum(), {"custom/ratio:mean": ratio.mean(), "custom/clipped:mean": clipped}


def reinforce_with_baseline(logprobs: Any, old: Any, adv: Any) -> Any:
    normal = (adv - adv.mean()) / (adv.std() + 1e-6)
    weight = torch.exp(logprobs - old).clamp(max=2.0).detach()
    return -(weight * normal * logprobs).mean(), {"custom/weight:mean": weight.max()}


def dpo_like(logprobs: Any, old: Any, adv: Any) -> Any:
    margin = 0.1 * (logprobs - old).sum()
    return -torch.nn.functional.logsigmoid(margin) + 0.0 * adv.sum(), {}


def kl(logprobs: Any, old: Any, adv: Any) -> Any:
    difference = old - logprobs
    k3 = torch.exp(difference) - difference - 1
    penalty = torch.where(adv > 0, k3, torch.zeros_like(k3))
    return penalty.sum() / (adv > 0).float().sum().clamp(min=1), {"custom/kl:sum": k3.sum()}


def smooth(logprobs: Any, old: Any, adv: Any) -> Any:
    steps = logprobs[1:] - logprobs[:-1]
    total = torch.square(steps).sum() + torch.cumsum(logprobs, 0)[-1] * math.log(2.0)
    return total + (old.abs() * adv).sum().tanh() + logprobs.shape[0], {
        "custom/n:sum": steps.abs().sum()
    }


def entropy(logprobs: Any, old: Any, adv: Any) -> Any:
    rows = torch.stack([logprobs, logprobs * 2.0], dim=1)
    share = torch.softmax(rows, dim=-1)
    log_share = torch.log_softmax(rows, dim=-1)
    spread = -(share * log_share).sum(dim=-1, keepdim=True).squeeze(-1)
    return (spread * adv).sum() - torch.logsumexp(logprobs, 0) + (old * 0).sum(), {}


def top_k(logprobs: Any, teacher: Any) -> Any:
    mask = teacher > 0.1
    loss = -(teacher * logprobs).masked_fill(~mask, 0.0).sum(-1)
    return loss.mean() + logprobs.max() - logprobs.amin(), {"custom/kept:sum": mask.float().sum()}


@pytest.mark.parametrize("loss", [ppo, reinforce_with_baseline, dpo_like, kl, smooth, entropy])
@pytest.mark.parametrize("seed", range(3))
def test_traced_losses_come_to_torchs_value_and_gradient(loss: Loss, seed: int) -> None:
    """Rank-1 losses of the kinds that people write."""
    rng = np.random.default_rng(seed)
    arrays = [rng.normal(-1.0, 0.5, 17), rng.normal(-1.0, 0.5, 17), rng.normal(size=17)]
    _agree(loss, {"logprobs": 1, "old": 1, "adv": 1}, arrays)


def test_traced_losses_over_several_targets_come_to_torchs_value_and_gradient() -> None:
    """A rank-2 loss."""
    rng = np.random.default_rng(0)
    arrays = [rng.normal(-1.0, 0.5, (7, 4)), rng.dirichlet(np.ones(4), 7)]
    _agree(top_k, {"logprobs": 2, "teacher": 2}, arrays)


def _agree(loss: Loss, ranks: dict[str, int], arrays: list[np.ndarray[Any, Any]]) -> None:
    value, gradient, metrics = traced(loss, ranks).value_and_gradient(arrays)
    logprobs, *others = (torch.tensor(one, dtype=torch.float64) for one in arrays)
    logprobs.requires_grad_()
    expected, named = loss(logprobs, *others)
    expected.backward()
    assert value == pytest.approx(expected.item(), rel=1e-9)
    np.testing.assert_allclose(gradient, logprobs.grad.numpy(), rtol=1e-7, atol=1e-10)
    assert metrics == pytest.approx({key: one.item() for key, one in named.items()}, rel=1e-6)
