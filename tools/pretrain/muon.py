"""Muon: momentum whose update of every matrix is made nearly orthogonal, batched over matrices of one shape."""

from __future__ import annotations

from collections import defaultdict
from concurrent.futures import Executor

import torch
from torch import Tensor, nn


def orthogonalised(g: Tensor, steps: int = 5) -> Tensor:
    """Return the nearest semi-orthogonal matrices of [n, rows, columns], rows <= columns, by Newton-Schulz iteration."""
    a, b, c = 3.4445, -4.7750, 2.0315
    x = g / (g.norm(dim=(1, 2), keepdim=True) + 1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return x


class Muon(torch.optim.Optimizer):
    """Steps matrices along their orthogonalised Nesterov momentum."""

    def __init__(
        self, parameters: list[nn.Parameter], executor: Executor, lr: float, momentum: float = 0.95
    ) -> None:
        self.executor = executor
        super().__init__(parameters, {"lr": lr, "momentum": momentum})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:
        """Take one step."""
        for group in self.param_groups:
            by_shape: dict[torch.Size, list[nn.Parameter]] = defaultdict(list)
            for p in group["params"]:
                by_shape[p.shape].append(p)
            jobs = [
                self.executor.submit(self._step_together, same, group["lr"], group["momentum"])
                for same in by_shape.values()
            ]
            for job in jobs:
                job.result()

    @torch.no_grad()
    def _step_together(self, matrices: list[nn.Parameter], lr: float, momentum: float) -> None:
        gradient = torch.stack([p.grad for p in matrices])
        state = self.state[matrices[0]]
        moving = state.setdefault("momentum", torch.zeros_like(gradient))
        moving.lerp_(gradient, 1 - momentum)
        update = gradient.lerp(moving, momentum)
        rows, columns = update.shape[1:]
        tall = rows > columns
        update = orthogonalised(update.mT if tall else update)
        update = update.mT if tall else update
        scale = lr * max(1.0, rows / columns) ** 0.5
        for p, u in zip(matrices, update, strict=True):
            p.sub_(u, alpha=scale)
