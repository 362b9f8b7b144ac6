"""Distillation: bring a student to its teacher, on the student's samples or on the teacher's."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from attrs import evolve

from tinkex.errors import DecodeError
from tinkex.losses import completion_datum, soft_target_datum
from tinkex.recipes.loop import Measurement, Objective
from tinkex.recipes.on_policy import OnPolicy, Scored, Target, checked_turns
from tinkex.recipes.prepare import Prepared
from tinkex.recipes.recipe import DistillRecipe
from tinkex.recipes.rewards import Episode, Turn
from tinkex.recipes.rollouts import SamplingSettings, token_logprobs
from tinkex.types import ModelInput, SamplingParams

if TYPE_CHECKING:
    from tinkex.sampling import SamplingClient
    from tinkex.training import TrainingClient
    from tinkex.types import Datum

# A token of less probability than this is not learned: it would be written down for nothing.
_LEAST = 1e-3

HELD_OUT_KL = Objective("held_out_kl", "divergence from the teacher")


class Distill(OnPolicy):
    """Distillation with the student's own samples or with the teacher's.

    On-policy, the student learns the teacher's distribution at each place of what it samples itself
    (Agarwal et al. 2024, arXiv:2306.13649, with the forward KL divergence). With a loss of policy
    gradients each sampled token is reinforced by how much likelier the teacher finds it, centred over
    the batch; this lowers the reverse KL divergence, and needs a student that samples at times what
    the teacher would say. Off-policy, the student learns the teacher's samples by cross entropy (Kim &
    Rush 2016, arXiv:1606.07947).

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
        self._learns_targets = recipe.on_policy and recipe.loss_fn == "cross_entropy"
        self._top_k = recipe.top_k
        # So many steps, the first ones, train on what the teacher samples.
        share = 0.0 if recipe.on_policy else 1.0
        if self._learns_targets:
            share = recipe.teacher_share
        self._teacher_steps = round(share * prepared.steps)
        self._teacher = teacher
        self.objective = HELD_OUT_KL if prepared.held_out else None
        self._references: list[Turn] | None = None

    def sampler(self, training: TrainingClient, number: int) -> SamplingClient:
        """Return what a step's batch is sampled from."""
        return self._teacher if number <= self._teacher_steps else self.newest(training)

    def score(self, episodes: Sequence[Episode], number: int) -> Scored:
        """Return the turns; on-policy, with what the teacher thinks of their tokens."""
        turns = checked_turns(episodes)
        samples = [{"line": one.prompt.line, "text": one.text} for one in episodes]
        if not self._on_policy:
            return Scored(turns, [[1.0] * len(turn.tokens) for turn in turns], samples, {})
        if self._learns_targets:
            return self._with_targets(turns, samples, number)
        differences = self._differences(turns)
        count = sum(map(len, differences))
        mean = sum(map(sum, differences)) / max(1, count)
        advantages = [[one - mean for one in row] for row in differences]
        return Scored(turns, advantages, samples, {"kl": _divergence(differences)})

    def data(self, batch: Scored) -> list[Datum]:
        """Return what is sent of a batch."""
        if self._learns_targets:
            pairs = zip(batch.turns, batch.targets, strict=True)
            return [_soft_datum(turn, targets) for turn, targets in pairs]
        if self._on_policy:
            return super().data(batch)
        return [completion_datum(list(one.prompt), list(one.tokens)) for one in batch.turns]

    def _with_targets(
        self, turns: Sequence[Turn], samples: Sequence[Mapping[str, Any]], number: int
    ) -> Scored:
        """Return the turns with the teacher's distribution at each of their tokens."""
        futures = [
            self._teacher.sample(
                ModelInput.from_ints([*turn.prompt, *turn.tokens]),
                1,
                SamplingParams(max_tokens=1),
                include_prompt_logprobs=True,
                topk_prompt_logprobs=self._top_k,
            )
            for turn in turns
        ]
        differences, targets = [], []
        for turn, future in zip(turns, futures, strict=True):
            found, begin = future.result(), len(turn.prompt)
            teacher = (found.prompt_logprobs or [])[begin:]
            likeliest = (found.topk_prompt_logprobs or [])[begin:]
            known = [one for one in teacher if one is not None]
            rows = [_distribution(row) for row in likeliest if row]
            if not len(known) == len(rows) == len(turn.tokens):
                raise DecodeError(
                    "the server gave no likeliest tokens of some places of a text; distill with "
                    "loss_fn='importance_sampling', which needs none"
                )
            differences.append(
                [theirs - own for own, theirs in zip(turn.logprobs, known, strict=True)]
            )
            targets.append(rows)
        advantages = [[1.0] * len(turn.tokens) for turn in turns]
        metrics = {"kl": _divergence(differences)} if number > self._teacher_steps else {}
        return Scored(turns, advantages, samples, metrics, targets)

    def measure(self, training: TrainingClient) -> Measurement:
        """Begin to measure the divergence on held-out prompts, in nats a token."""
        settings = evolve(self._settings, group_size=1)
        if self._on_policy:
            rollouts = self._held_out(self.newest(training), settings, "held out")
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


def _distribution(likeliest: Sequence[tuple[int, float]]) -> Target:
    """Return the likeliest tokens of a place with their probabilities, but for those that hardly count.

    They do not add up to 1: a place where the teacher is undecided, of which they say little, counts
    as little.
    """
    chances = [(token, round(math.exp(logprob), 6)) for token, logprob in likeliest]
    return [one for one in chances if one[1] >= _LEAST] or chances[:1]


def _soft_datum(turn: Turn, targets: Sequence[Target]) -> Datum:
    """Return a turn with a distribution in place of each of its tokens."""
    length, begin = len(turn.prompt) + len(turn.tokens), len(turn.prompt)
    most = max(map(len, targets))
    candidates = np.zeros((length, most), np.int64)
    chances = np.zeros((length, most), np.float32)
    for place, row in enumerate(targets, begin):
        candidates[place, : len(row)] = [token for token, _ in row]
        chances[place, : len(row)] = [chance for _, chance in row]
    return soft_target_datum([*turn.prompt, *turn.tokens], candidates, chances)


def _divergence(differences: Sequence[Sequence[float]]) -> float:
    """Return the KL divergence from what sampled to the other, in nats a token.

    Args:
        differences: For each sampled token, the other's log probability minus the sampler's. The
            estimate r - 1 - log r is never negative and varies little (Schulman 2020, "Approximating
            KL Divergence").
    """
    flat = [one for row in differences for one in row]
    return sum(math.expm1(min(one, 50.0)) - one for one in flat) / max(1, len(flat))
