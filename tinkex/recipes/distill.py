"""Distillation: bring a student to its teacher, on the student's samples or on the teacher's."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve

from tinkex.losses import completion_datum
from tinkex.recipes.loop import Measurement, Objective
from tinkex.recipes.on_policy import OnPolicy, Scored, checked_turns
from tinkex.recipes.prepare import Prepared
from tinkex.recipes.recipe import DistillRecipe
from tinkex.recipes.rewards import Episode, Turn
from tinkex.recipes.rollouts import SamplingSettings, token_logprobs

if TYPE_CHECKING:
    from tinkex.sampling import SamplingClient
    from tinkex.training import TrainingClient
    from tinkex.types import Datum

HELD_OUT_KL = Objective("held_out_kl", "divergence from the teacher")


class Distill(OnPolicy):
    """Distillation with the student's own samples or with the teacher's.

    On-policy, the advantage of a token that the student samples is how much likelier the teacher
    finds it, centred over the batch; this lowers the reverse KL divergence (Agarwal et al. 2024,
    arXiv:2306.13649). Otherwise the student learns the teacher's samples by cross entropy, which
    lowers the forward KL divergence (Kim & Rush 2016, arXiv:1606.07947).

    Args:
        prepared: The prompts.
        recipe: How they are sampled and trained on.
        folder: The run's folder.
        teacher: The model to learn from; it has the student's tokenizer.
    """

    def __init__(
        self, prepared: Prepared, recipe: DistillRecipe, folder: Path, teacher: SamplingClient
    ) -> None:
        settings = SamplingSettings(
            group_size=recipe.group_size,
            max_tokens=recipe.max_tokens,
            temperature=recipe.temperature,
        )
        super().__init__(prepared, recipe, folder, settings)
        self._on_policy = recipe.on_policy
        self._teacher = teacher
        self.objective = HELD_OUT_KL if prepared.held_out else None
        self._references: list[Turn] | None = None

    def sampler(self, training: TrainingClient) -> SamplingClient:
        """Return what the next batch is sampled from."""
        return super().sampler(training) if self._on_policy else self._teacher

    def score(self, episodes: Sequence[Episode]) -> Scored:
        """Return the turns; on-policy, with what the teacher thinks of their tokens."""
        turns = checked_turns(episodes)
        samples = [{"line": one.prompt.line, "text": one.text} for one in episodes]
        if not self._on_policy:
            return Scored(turns, [[1.0] * len(turn.tokens) for turn in turns], samples, {})
        differences = self._differences(turns)
        count = sum(map(len, differences))
        mean = sum(map(sum, differences)) / max(1, count)
        advantages = [[one - mean for one in row] for row in differences]
        return Scored(turns, advantages, samples, {"kl": _divergence(differences)})

    def datum(self, turn: Turn, advantages: Sequence[float]) -> Datum:
        """Return what is sent of a turn."""
        if self._on_policy:
            return super().datum(turn, advantages)
        return completion_datum(list(turn.prompt), list(turn.tokens))

    def measure(self, training: TrainingClient) -> Measurement:
        """Begin to measure the divergence on held-out prompts, in nats a token."""
        settings = evolve(self._settings, group_size=1)
        if self._on_policy:
            rollouts = self._held_out(super().sampler(training), settings, "held out")
            return lambda: {
                HELD_OUT_KL.name: _divergence(self._differences(checked_turns(rollouts.result())))
            }
        if self._references is None:
            sampled = self._held_out(self._teacher, settings, "held out").result()
            self._references = checked_turns(sampled)
        turns = self._references
        data = [completion_datum(list(turn.prompt), list(turn.tokens)) for turn in turns]
        output = training.forward(data, "cross_entropy")

        def wait() -> dict[str, float]:
            outputs = output.result().loss_fn_outputs
            differences = [
                [
                    float(student) - teacher
                    for student, teacher in zip(
                        one["logprobs"].numpy()[-len(turn.tokens) :], turn.logprobs, strict=True
                    )
                ]
                for one, turn in zip(outputs, turns, strict=True)
            ]
            return {HELD_OUT_KL.name: _divergence(differences)}

        return wait

    @property
    def _loss_fn(self) -> str:
        return self._recipe.loss_fn if self._on_policy else "cross_entropy"

    def _differences(self, turns: Sequence[Turn]) -> list[list[float]]:
        """Return how much likelier the teacher finds each token than the student."""
        return [
            [theirs - own for own, theirs in zip(turn.logprobs, teacher, strict=True)]
            for turn, teacher in zip(turns, token_logprobs(self._teacher, turns), strict=True)
        ]


def _divergence(differences: Sequence[Sequence[float]]) -> float:
    """Return the KL divergence from what sampled to the other, in nats a token.

    Args:
        differences: For each sampled token, the other's log probability minus the sampler's. The
            estimate r - 1 - log r is never negative and varies little (Schulman 2020, "Approximating
            KL Divergence").
    """
    flat = [one for row in differences for one in row]
    return sum(math.expm1(min(one, 50.0)) - one for one in flat) / max(1, len(flat))
