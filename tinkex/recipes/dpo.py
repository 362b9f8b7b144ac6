"""Direct preference optimization (Rafailov et al. 2023, arXiv:2305.18290)."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tinkex._base.atomic_file import atomic_write
from tinkex.recipes.folder import REFERENCE
from tinkex.recipes.loop import Measurement, Objective, Sent
from tinkex.recipes.prepare import Pair, Prepared
from tinkex.recipes.recipe import DpoRecipe

if TYPE_CHECKING:
    from tinkex.training import TrainingClient
    from tinkex.types import AdamParams, Datum, ForwardBackwardOutput

# Pairs whose log probabilities are computed at once: enough for a server's whole cycle.
_AT_ONCE = 256

Array = npt.NDArray[np.float64]


class Dpo:
    """Direct preference optimization: -log sigmoid(beta * margin) of each pair.

    The margin is how much more the weights prefer the chosen response over the rejected one than
    the weights at the start did, in nats. A pair's log probabilities at the start are computed once
    and kept in the run's folder, so an interrupted run continues with the same numbers.

    Args:
        prepared: The pairs.
        recipe: How they are trained on.
        folder: The run's folder.
        start: Returns a client with the weights at the start.
    """

    objective: Objective | None

    def __init__(
        self,
        prepared: Prepared,
        recipe: DpoRecipe,
        folder: Path,
        start: Callable[[], TrainingClient],
    ) -> None:
        self._recipe = recipe
        self._batches = prepared.batches
        self._held_out: Sequence[Pair] = prepared.held_out
        self.steps_per_epoch = prepared.batches.steps_per_epoch
        self.objective = Objective("held_out_loss", "validation loss") if self._held_out else None
        needed = {one.line: one for step in range(prepared.steps) for one in self._batches[step]}
        needed |= {one.line: one for one in self._held_out}
        self._reference = _reference(folder / REFERENCE, list(needed.values()), start)

    def send(self, training: TrainingClient, number: int, adam: AdamParams) -> Sent:
        """Send a step; this waits for its forward pass, on which the gradient depends."""
        batch: Sequence[Pair] = self._batches[number - 1]
        outputs = [
            training.forward_backward_custom(_data(part), self._loss(part, len(batch)))
            for part in self._recipe.parts(batch)
        ]
        return Sent(
            outputs,
            training.optim_step(adam),
            tokens=sum(len(one.tokens) - 2 for one in batch),
            weight=1.0,
            read=lambda done: {
                name: sum(one.metrics[name] for one in done) for name in ("margin", "accuracy")
            },
        )

    def measure(self, training: TrainingClient) -> Measurement:
        """Begin to measure loss, margin and accuracy on held-out pairs."""
        output, pairs = training.forward(_data(self._held_out), "cross_entropy"), self._held_out

        def wait() -> dict[str, float]:
            margins = _margins(pairs, _logprobs(output.result())) - self._references(pairs)
            return {
                "held_out_loss": float(self._losses(margins).mean()),
                "held_out_margin": float(margins.mean()),
                "held_out_accuracy": float((margins > 0).mean()),
            }

        return wait

    def settle(self) -> None:
        """Do nothing: no step begins early."""

    def _losses(self, margins: Array) -> Array:
        losses: Array = np.logaddexp(0.0, -self._recipe.beta * margins)
        return losses

    def _references(self, pairs: Sequence[Pair]) -> Array:
        return np.array([self._reference[one.line] for one in pairs])

    def _loss(self, pairs: Sequence[Pair], count: int) -> Any:
        """Return the loss of a part of a batch, with its gradient, as `forward_backward_custom` takes it."""

        def dpo(_: Sequence[Datum], logprobs: Sequence[Any]) -> tuple[float, Any, Any]:
            margins = _margins(pairs, logprobs) - self._references(pairs)
            losses = self._losses(margins)
            slope = self._recipe.beta * (np.exp(-losses) - 1) / count
            gradients = [
                (sign * slope[index] * side.weights[1:]).astype(np.float32)
                for index, pair in enumerate(pairs)
                for sign, side in ((1, pair.chosen), (-1, pair.rejected))
            ]
            metrics = {"margin": margins.sum() / count, "accuracy": (margins > 0).sum() / count}
            return float(losses.sum() / count), metrics, gradients

        return dpo


def _data(pairs: Sequence[Pair]) -> list[Datum]:
    return [side.datum() for pair in pairs for side in (pair.chosen, pair.rejected)]


def _logprobs(output: ForwardBackwardOutput) -> list[Any]:
    return [one["logprobs"].numpy() for one in output.loss_fn_outputs]


def _margins(pairs: Sequence[Pair], logprobs: Sequence[Any]) -> Array:
    """Return by how much more likely each chosen response is than the rejected one, in nats."""
    weights = [side.weights[1:] for pair in pairs for side in (pair.chosen, pair.rejected)]
    sums = [
        float(np.dot(w, np.asarray(lp, np.float64)))
        for w, lp in zip(weights, logprobs, strict=True)
    ]
    return np.array(
        [chosen - rejected for chosen, rejected in zip(sums[::2], sums[1::2], strict=True)]
    )


def _reference(
    file: Path, pairs: Sequence[Pair], start: Callable[[], TrainingClient]
) -> dict[int, float]:
    """Return each pair's difference of log probabilities at the start, by line."""
    known: dict[int, float] = {}
    if file.exists():
        known = {int(line): value for line, value in json.loads(file.read_bytes()).items()}
    missing = [one for one in pairs if one.line not in known]
    if missing:
        training = start()
        parts = [missing[at : at + _AT_ONCE] for at in range(0, len(missing), _AT_ONCE)]
        outputs = [(part, training.forward(_data(part), "cross_entropy")) for part in parts]
        for part, output in outputs:
            margins = _margins(part, _logprobs(output.result()))
            known |= {one.line: float(margin) for one, margin in zip(part, margins, strict=True)}
        atomic_write(file, json.dumps(known).encode())
    return known
