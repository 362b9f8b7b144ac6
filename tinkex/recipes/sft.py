"""Supervised fine-tuning: imitate the responses of examples."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from tinkex.errors import ValidationError
from tinkex.recipes.loop import Measurement, Objective, Sent, loss_of, send_step
from tinkex.recipes.prepare import Prepared
from tinkex.recipes.tokenizing import TokenizedExample

if TYPE_CHECKING:
    from tinkex.training import TrainingClient
    from tinkex.types import AdamParams

HELD_OUT_LOSS = Objective("held_out_loss", "validation loss")


class Sft:
    """Supervised fine-tuning: each step lowers the cross entropy of a batch of examples.

    Args:
        prepared: What is trained on.
    """

    def __init__(self, prepared: Prepared) -> None:
        self._recipe = prepared.recipe
        self._batches = prepared.batches
        self._held_out = prepared.held_out
        self.steps_per_epoch = prepared.batches.steps_per_epoch
        self.objective = HELD_OUT_LOSS if prepared.held_out else None

    def send(self, training: TrainingClient, number: int, adam: AdamParams) -> Sent:
        """Send a step."""
        batch = self._batches[number - 1]
        parts = self._recipe.parts([one.datum() for one in batch])
        outputs, update = send_step(training, parts, "cross_entropy", adam)
        return Sent(
            outputs,
            update,
            tokens=sum(len(one.tokens) - 1 for one in batch),
            weight=sum(one.weight for one in batch),
        )

    def measure(self, training: TrainingClient) -> Measurement:
        """Begin to measure the validation loss."""
        loss = mean_loss(training, self._held_out)
        return lambda: {} if (found := loss()) is None else {HELD_OUT_LOSS.name: found}

    def settle(self) -> None:
        """Do nothing: no step begins early."""


def mean_loss(
    training: TrainingClient, examples: Sequence[TokenizedExample]
) -> Callable[[], float | None]:
    """Begin to compute the mean negative log likelihood of the tokens that count, in nats.

    Returns:
        What waits for it; None if the server gives no loss.

    Raises:
        ValidationError: There are no examples.
    """
    if not examples:
        raise ValidationError("there is none to measure the loss on", path="examples")
    weight = sum(one.weight for one in examples)
    output = training.forward([one.datum() for one in examples], "cross_entropy")

    def wait() -> float | None:
        loss = loss_of([output.result()])
        return None if loss is None else loss / weight

    return wait
