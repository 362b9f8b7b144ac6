"""What `grpo` and `distill` share: sample a batch, score it, write it down, train on it."""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from attrs import frozen

from tinkex.errors import DecodeError
from tinkex.losses import importance_sampling_datum, stable_reinforce_datum
from tinkex.recipes.folder import ROLLOUTS
from tinkex.recipes.loop import Measurement, Metrics, Objective, Sent, send_step
from tinkex.recipes.prepare import Prepared
from tinkex.recipes.recipe import RolloutRecipe
from tinkex.recipes.rewards import Episode, Turn
from tinkex.recipes.rollouts import Rollouts, SamplingSettings
from tinkex.types import Datum, SampledSequence

if TYPE_CHECKING:
    from tinkex.sampling import SamplingClient
    from tinkex.training import TrainingClient
    from tinkex.types import AdamParams

STABLE = "stable_reinforce"


Target = Sequence[tuple[int, float]]
"""A distribution over tokens: ids, with their probabilities."""


@frozen(eq=False)
class Scored:
    """A batch to train on.

    Attributes:
        turns: What was sampled.
        advantages: How much better each of their tokens is than expected.
        targets: What is to stand in place of each of their tokens, if that is what is learned.
        samples: A line for each episode, for people.
        metrics: Numbers of the whole batch.
    """

    turns: Sequence[Turn]
    advantages: Sequence[Sequence[float]]
    samples: Sequence[Mapping[str, Any]]
    metrics: Metrics
    targets: Sequence[Sequence[Target]] = ()


class Journal:
    """The batches that a run has sampled, a line each, in the run's folder.

    A batch is written down before it is trained on. A run that continues after a crash trains on the
    same samples again, because servers do not sample the same twice to the last bit.
    """

    def __init__(self, file: Path) -> None:
        self._file = file
        # Where each step's line begins: batches are large, and most are never read again.
        self._places: dict[int, int] = {}
        if file.exists():
            with file.open("r+b") as opened:
                at = 0
                for line in opened:
                    if not line.endswith(b"\n"):
                        # A crash cut the last line short.
                        opened.truncate(at)
                        break
                    self._places[json.loads(line)["step"]] = at
                    at += len(line)

    def __contains__(self, step: int) -> bool:
        return step in self._places

    def read(self, step: int) -> Scored:
        """Return the batch of a step."""
        with self._file.open("rb") as opened:
            opened.seek(self._places[step])
            record = json.loads(opened.readline())
        turns = [
            Turn(one["prompt"], one["tokens"], one["logprobs"], one["sequence_id"])
            for one in record["turns"]
        ]
        advantages = [one["advantages"] for one in record["turns"]]
        targets = [one["targets"] for one in record["turns"] if "targets" in one]
        return Scored(turns, advantages, record["samples"], record["metrics"], targets)

    def write(self, step: int, batch: Scored) -> None:
        """Add the batch of a step."""
        turns: list[dict[str, Any]] = [
            {
                "prompt": list(turn.prompt),
                "tokens": list(turn.tokens),
                "logprobs": list(turn.logprobs),
                "sequence_id": turn.sequence_id,
                "advantages": list(advantages),
            }
            for turn, advantages in zip(batch.turns, batch.advantages, strict=True)
        ]
        for turn, targets in zip(turns, batch.targets, strict=False):
            turn["targets"] = targets
        record = {
            "step": step,
            "metrics": batch.metrics,
            "samples": batch.samples,
            "turns": turns,
        }
        self._file.parent.mkdir(parents=True, exist_ok=True)
        with self._file.open("ab") as opened:
            place = opened.tell()
            opened.write(json.dumps(record).encode() + b"\n")
        self._places[step] = place


class OnPolicy(ABC):
    """A method that trains on what it samples.

    With `RolloutRecipe.off_policy_steps` the next batch is sampled while the last one trains.

    Args:
        prepared: The prompts.
        recipe: How they are sampled and trained on.
        folder: The run's folder, where the samples are written down.
        settings: How episodes are sampled.
    """

    objective: Objective | None

    def __init__(
        self, prepared: Prepared, recipe: RolloutRecipe, folder: Path, settings: SamplingSettings
    ) -> None:
        self._prepared = prepared
        self._recipe = recipe
        self._settings = settings
        self._journal = Journal(folder / ROLLOUTS)
        self._ahead: tuple[int, str, Rollouts] | None = None
        self.steps_per_epoch = prepared.batches.steps_per_epoch

    @abstractmethod
    def score(self, episodes: Sequence[Episode], number: int) -> Scored:
        """Return what to train on in a step, from what was sampled for it."""

    @abstractmethod
    def measure(self, training: TrainingClient) -> Measurement:
        """Begin to measure the weights on held-out prompts."""

    def sampler(self, training: TrainingClient, number: int) -> SamplingClient:
        """Return the weights to sample a step's batch from: the newest ones."""
        del number
        return self.newest(training)

    def newest(self, training: TrainingClient) -> SamplingClient:
        """Return a sampler of the weights as they are now."""
        return training.save_weights_and_get_sampling_client()

    def data(self, batch: Scored) -> list[Datum]:
        """Return what is sent of a batch: turns without anything to learn are left out."""
        return [
            self._datum(turn, advantages)
            for turn, advantages in zip(batch.turns, batch.advantages, strict=True)
            if any(advantages)
        ]

    def _datum(self, turn: Turn, advantages: Sequence[float]) -> Datum:
        if self._recipe.loss_fn == STABLE:
            sequence = SampledSequence(list(turn.tokens), sequence_id=turn.sequence_id)
            return stable_reinforce_datum(list(turn.prompt), sequence, list(advantages))
        # ppo and cispo take the same tensors.
        return importance_sampling_datum(
            list(turn.prompt), list(turn.tokens), list(turn.logprobs), list(advantages)
        )

    def send(self, training: TrainingClient, number: int, adam: AdamParams) -> Sent:
        """Send a step, and begin to sample the next one's batch with the weights before this one."""
        batch = self._batch(training, number)
        follows = self._recipe.off_policy_steps and number < self._prepared.steps
        sampler = None
        if follows and number + 1 not in self._journal:
            sampler = self.sampler(training, number + 1)
        sent = self._sent(training, self.data(batch), batch, adam)
        if sampler is not None:
            rollouts = self._rollouts(sampler, number + 1)
            self._ahead = number + 1, training.model_id, rollouts
        return sent

    def settle(self) -> None:
        """Write down the batch that is being sampled, so that a resumed run trains on it."""
        if self._ahead is not None:
            number, _, rollouts = self._ahead
            self._write(number, rollouts)

    def _batch(self, training: TrainingClient, number: int) -> Scored:
        """Return a step's batch: the one that was written down, or one that is sampled now."""
        ahead, self._ahead = self._ahead, None
        # What the server recorded of samples is gone with the session.
        if number in self._journal and self._recipe.loss_fn != STABLE:
            return self._journal.read(number)
        if ahead is not None and ahead[:2] == (number, training.model_id):
            return self._write(number, ahead[2])
        return self._write(number, self._rollouts(self.sampler(training, number), number))

    def _rollouts(self, sampler: SamplingClient, number: int) -> Rollouts:
        prompts = self._prepared.batches[number - 1]
        seed = f"{self._recipe.seed}/{number}"
        return Rollouts(sampler, self._prepared, prompts, self._settings, seed)

    def _write(self, number: int, rollouts: Rollouts) -> Scored:
        batch = self.score(rollouts.result(), number)
        self._journal.write(number, batch)
        return batch

    def _sent(
        self, training: TrainingClient, data: Sequence[Datum], batch: Scored, adam: AdamParams
    ) -> Sent:
        tokens = sum(len(turn.prompt) + len(turn.tokens) for turn in batch.turns)
        weight = sum(len(turn.tokens) for turn in batch.turns)
        if not data:
            # No response is better than the others of its group: there is nothing to learn.
            return Sent([], None, tokens, 1.0, batch.metrics)
        outputs, update = send_step(
            training,
            self._recipe.parts(data),
            self._loss_fn,
            adam,
            self._recipe.loss_config or None,
        )
        return Sent(outputs, update, tokens, float(weight), batch.metrics)

    @property
    def _loss_fn(self) -> str:
        return self._recipe.loss_fn

    def _held_out(self, sampler: SamplingClient, settings: SamplingSettings, seed: str) -> Rollouts:
        return Rollouts(sampler, self._prepared, self._prepared.held_out, settings, seed)


def checked_turns(episodes: Sequence[Episode]) -> list[Turn]:
    """Return the turns that sampled anything.

    Raises:
        DecodeError: The server gave no log probabilities with them.
    """
    turns = [turn for one in episodes for turn in one.turns if turn.tokens]
    if any(len(turn.logprobs) != len(turn.tokens) for turn in turns):
        raise DecodeError("the server gave no log probabilities with its samples")
    return turns
