"""Group-relative policy optimization (Shao et al. 2024, arXiv:2402.03300)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from attrs import evolve

from tinkex.recipes.loop import Measurement, Objective
from tinkex.recipes.on_policy import STABLE, OnPolicy, Scored, checked_turns
from tinkex.recipes.prepare import Prepared
from tinkex.recipes.recipe import GrpoRecipe
from tinkex.recipes.rewards import Episode, Turn, WeightedReward, scored, total
from tinkex.recipes.rollouts import Respond, SamplingSettings, means, token_logprobs

if TYPE_CHECKING:
    from tinkex.sampling import SamplingClient
    from tinkex.training import TrainingClient

HELD_OUT_REWARD = Objective("held_out_reward", "validation reward", "higher")


class Grpo(OnPolicy):
    """Reinforcement learning: each response is compared with the others to the same prompt.

    The advantage of a response's tokens is its reward minus the mean of its group (without dividing
    by the deviation: Liu et al. 2025, arXiv:2503.20783), minus a penalty for each nat that a token
    is likelier than under the weights at the start, centred over the batch.

    Args:
        prepared: The prompts.
        recipe: How they are sampled and trained on.
        folder: The run's folder.
        rewards: What responses are worth.
        start: Returns a sampler of the weights at the start; called if there is a penalty.
        respond: What follows a response in an episode of several turns.
    """

    def __init__(
        self,
        prepared: Prepared,
        recipe: GrpoRecipe,
        folder: Path,
        rewards: Sequence[WeightedReward],
        start: Callable[[], SamplingClient],
        respond: Respond | None = None,
    ) -> None:
        settings = SamplingSettings(
            group_size=recipe.group_size,
            max_tokens=recipe.max_tokens,
            temperature=recipe.temperature,
            max_turns=recipe.max_turns,
            respond=respond,
            record=recipe.loss_fn == STABLE,
        )
        super().__init__(prepared, recipe, folder, settings)
        self._kl = recipe.kl
        self._rewards = rewards
        self._start = start() if recipe.kl else None
        self.objective = HELD_OUT_REWARD if prepared.held_out else None

    def score(self, episodes: Sequence[Episode], number: int) -> Scored:
        """Return the turns with their advantages."""
        del number
        values = [scored(self._rewards, one) for one in episodes]
        rewards = [total(self._rewards, one) for one in values]
        size = self._settings.group_size
        advantages = []
        for at in range(0, len(rewards), size):
            group = rewards[at : at + size]
            mean = sum(group) / len(group)
            advantages += [reward - mean for reward in group]
        turns = checked_turns(episodes)
        each = [
            [advantage] * len(turn.tokens)
            for one, advantage in zip(episodes, advantages, strict=True)
            for turn in one.turns
            if turn.tokens
        ]
        metrics = {"reward": sum(rewards) / len(rewards), **self._named(values)}
        if self._start is not None:
            each, metrics["kl"] = self._penalized(self._start, turns, each)
        samples = [
            {"line": one.prompt.line, "text": one.text, "reward": reward, "rewards": value}
            for one, reward, value in zip(episodes, rewards, values, strict=True)
        ]
        return Scored(turns, each, samples, metrics)

    def measure(self, training: TrainingClient) -> Measurement:
        """Begin to sample a response to each held-out prompt, at the same temperature."""
        settings = evolve(self._settings, group_size=1, record=False)
        rollouts = self._held_out(self.newest(training), settings, "held out")

        def wait() -> dict[str, float]:
            values = [scored(self._rewards, one) for one in rollouts.result()]
            rewards = [total(self._rewards, one) for one in values]
            named = {f"held_out_{name}": value for name, value in self._named(values).items()}
            return {"held_out_reward": sum(rewards) / len(rewards), **named}

        return wait

    def _named(self, values: Sequence[dict[str, float]]) -> dict[str, float]:
        """Return the mean of each reward, where there are several."""
        if len(self._rewards) == 1:
            return {}
        return {f"reward_{name}": value for name, value in means(values).items()}

    def _penalized(
        self, start: SamplingClient, turns: Sequence[Turn], advantages: Sequence[Sequence[float]]
    ) -> tuple[list[list[float]], float]:
        """Return the advantages with the penalty, and the divergence from the start, in nats a token."""
        differences = [
            [now - then for now, then in zip(turn.logprobs, before, strict=True)]
            for turn, before in zip(turns, token_logprobs(start, turns), strict=True)
        ]
        count = sum(map(len, differences))
        mean = sum(map(sum, differences)) / max(1, count)
        penalized = [
            [one - self._kl * (off - mean) for one, off in zip(mine, offs, strict=True)]
            for mine, offs in zip(advantages, differences, strict=True)
        ]
        return penalized, mean
