"""Train step by step, with the next step always on its way before the last one is answered."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Protocol

from attrs import frozen

from tinkex.errors import DivergedError, ValidationError
from tinkex.recipes.batches import Batches
from tinkex.recipes.recipe import Recipe
from tinkex.recipes.schedule import Schedule
from tinkex.recipes.tokenizing import TokenizedExample

if TYPE_CHECKING:
    from tinkex._core.futures import Future
    from tinkex.training import TrainingClient
    from tinkex.types import ForwardBackwardOutput, OptimStepResponse

# Steps on their way at once: the server works on one while the next already waits there.
_AHEAD = 2


@frozen
class StepReport:
    """The result of a step.

    Attributes:
        step: Its number, from 1: so many steps are done.
        epoch: Epochs that are done, in fractions.
        loss: The mean negative log likelihood of the tokens that count, in nats, before the step;
            NaN if the server gives neither it nor log probabilities.
        learning_rate: The step's learning rate.
        grad_norm: L2 norm of the gradient before it was clipped, if the server reports it.
        tokens: Tokens that were read.
        held_out_loss: The validation loss after the step, where it was measured: as `loss`, over the
            held-out examples.
    """

    step: int
    epoch: float
    loss: float
    learning_rate: float
    grad_norm: float | None
    tokens: int
    held_out_loss: float | None = None


class Evaluation:
    """The loss of examples under the weights that a model has when this is made."""

    def __init__(self, training: TrainingClient, examples: Sequence[TokenizedExample]) -> None:
        if not examples:
            raise ValidationError("there is none to measure the loss on", path="examples")
        self._weight = sum(one.weight for one in examples)
        self._output = training.forward([one.datum() for one in examples], "cross_entropy")

    def loss(self) -> float:
        """Wait for the mean negative log likelihood of the tokens that count, in nats.

        It is NaN where the server gives neither a loss nor log probabilities.

        Raises:
            DivergedError: The server gives one, and it is no number.
        """
        output = self._output.result()
        loss = output.loss / self._weight
        if output.has_loss and not math.isfinite(loss):
            raise DivergedError(
                f"the validation loss is {loss}: the run diverged. Begin again with a lower learning "
                "rate, or clip the gradient"
            )
        return loss


@frozen(eq=False)
class _Sent:
    """Hold a step on its way."""

    step: int
    learning_rate: float
    weight: float
    tokens: int
    output: Future[ForwardBackwardOutput]
    update: Future[OptimStepResponse]
    evaluation: Evaluation | None


class Run(Protocol):
    """Describe what a loop goes through: `tinkex.recovery.ResumableRun`."""

    training: TrainingClient

    def steps(self, total: int) -> Iterable[Step]:
        """Yield the steps that are still to do, each to be done within its ``with`` block."""


class Step(Protocol):
    """Describe one of them: its number, from 0, and a ``with`` block."""

    def __int__(self) -> int: ...

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: object, /
    ) -> bool | None: ...


def train(
    run: Run,
    batches: Batches[TokenizedExample],
    recipe: Recipe,
    *,
    held_out: Sequence[TokenizedExample] = (),
    measured_at: Callable[[int], bool] = lambda _: False,
    settled_at: Callable[[int], bool] = lambda _: False,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[StepReport]:
    """Do the steps of a recipe and yield a report of each as it is answered.

    >>> recipe = Recipe(base_model="Qwen/Qwen3-8B", steps=2)
    >>> prepared = prepare(recipe, read_examples("orders.jsonl"), tokenizer)
    >>> with resumable("runs/orders", service, base_model=recipe.base_model) as run:
    ...     for report in tinkex.recipes.train(run, prepared.batches, recipe):
    ...         print(report.step, report.loss < 20)
    1 True
    2 True

    Two steps are on their way at a time, so the server never waits for the next one. A step that
    has to be done again, because the model was lost and brought back from a checkpoint, is reported
    again.

    Args:
        run: The model, and the steps that it has not done yet.
        batches: What each step trains on.
        recipe: How; its number of steps is where the loop ends.
        held_out: Examples to measure the loss on.
        measured_at: Whether it is measured after so many steps.
        settled_at: Whether so many steps are all to be reported before another one is sent: where
            the run is saved, which waits for them in any case.
        stop: Asked after each step that was sent; True ends the loop when those on their way are
            reported. Who leaves it in another way leaves the model a step further than the last
            report.

    Raises:
        DivergedError: The loss that the server gives is no number any more.
        TinkexError: The server refused a step, or its result cannot be had.
    """
    total = recipe.total_steps(batches.steps_per_epoch)
    schedule = recipe.schedule(total)
    under_way: deque[_Sent] = deque()
    for step in run.steps(total):
        done: list[StepReport] = []
        with step:
            number = int(step) + 1
            if under_way and under_way[-1].step != number - 1:
                # The model was brought back; what the lost one had still to answer is void.
                under_way.clear()
            measured = held_out if measured_at(number) else ()
            under_way.append(
                _send(run.training, number, batches[number - 1], schedule, recipe, measured)
            )
            is_last = number == total or settled_at(number)
            while len(under_way) >= (1 if is_last else _AHEAD):
                done.append(_report(under_way.popleft(), batches.steps_per_epoch))
        yield from done
        if stop():
            break
    while under_way:
        yield _report(under_way.popleft(), batches.steps_per_epoch)


def _send(
    training: TrainingClient,
    number: int,
    batch: Sequence[TokenizedExample],
    schedule: Schedule,
    recipe: Recipe,
    measured: Sequence[TokenizedExample],
) -> _Sent:
    rate = schedule.at(number - 1)
    output, update = training.train_step(
        [one.datum() for one in batch], "cross_entropy", recipe.adam(rate)
    )
    # Asking lets background threads fetch the results, so that their round trips do not add to those
    # of sending.
    for future in (output, update):
        future.done()
    return _Sent(
        step=number,
        learning_rate=rate,
        weight=sum(one.weight for one in batch),
        tokens=sum(len(one.tokens) - 1 for one in batch),
        output=output,
        update=update,
        evaluation=Evaluation(training, measured) if measured else None,
    )


def _report(sent: _Sent, steps_per_epoch: int) -> StepReport:
    output = sent.output.result()
    loss = output.loss / sent.weight
    if output.has_loss and not math.isfinite(loss):
        raise DivergedError(
            f"the loss of step {sent.step} is {loss}: the run diverged. Begin again with a lower "
            f"learning rate than {sent.learning_rate:g}, or clip the gradient"
        )
    metrics = sent.update.result().metrics or {}
    return StepReport(
        step=sent.step,
        epoch=sent.step / steps_per_epoch,
        loss=loss,
        learning_rate=sent.learning_rate,
        grad_norm=metrics.get("unclipped_grad_l2:mean"),
        tokens=sent.tokens,
        held_out_loss=sent.evaluation.loss() if sent.evaluation else None,
    )
