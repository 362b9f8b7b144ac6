"""The training loop that all methods share: a step is always under way before the last one returns."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal, Protocol

from attrs import field, frozen

from tinkex.errors import DivergedError
from tinkex.recipes.recipe import Recipe
from tinkex.types import AdamParams, Datum

if TYPE_CHECKING:
    from tinkex._core.futures import Future
    from tinkex.training import TrainingClient
    from tinkex.types import ForwardBackwardOutput, OptimStepResponse

# Steps under way at once: the server works on one while the next already waits there.
_AHEAD = 2

Metrics = Mapping[str, float]
Measurement = Callable[[], Metrics]
"""A measurement under way; calling it waits for the numbers."""


@frozen
class StepReport:
    """The result of a step.

    Attributes:
        step: Its number, from 1: so many steps are done.
        epoch: Epochs that are done, in fractions.
        loss: The loss before the step: for `sft` the mean negative log likelihood of the tokens that
            count, in nats. None if the server gives neither it nor log probabilities, or the step
            had nothing to train on.
        learning_rate: The step's learning rate.
        grad_norm: L2 norm of the gradient before it was clipped, if the server reports it.
        tokens: Tokens that were read.
        metrics: The method's own numbers, such as ``reward`` or ``margin``.
        measured: What was measured on held-out data after the step, such as ``held_out_loss``;
            empty where nothing was.
    """

    step: int
    epoch: float
    loss: float | None
    learning_rate: float
    grad_norm: float | None
    tokens: int
    metrics: Metrics = field(factory=dict)
    measured: Metrics = field(factory=dict)

    @property
    def held_out_loss(self) -> float | None:
        """Return the validation loss after the step, where it was measured."""
        return self.measured.get("held_out_loss")


@frozen
class Objective:
    """What decides which weights are the best ones.

    Attributes:
        name: The name of the number in `StepReport.measured`.
        label: What messages call it.
        goal: Whether a lower or a higher one is better.
    """

    name: str
    label: str
    goal: Literal["lower", "higher"] = "lower"

    def is_better(self, value: float, than: float | None) -> bool:
        """Return whether a number improves on an earlier one."""
        return than is None or (value < than if self.goal == "lower" else value > than)


@frozen(eq=False)
class Sent:
    """A step under way.

    Attributes:
        outputs: The results of its forward_backward calls; none if it has nothing to train on.
        update: The result of its optim_step.
        tokens: Tokens that it reads.
        weight: What its loss, which is a sum, is divided by.
        metrics: Numbers that are known already.
        read: Returns more numbers from the outputs.
    """

    outputs: Sequence[Future[ForwardBackwardOutput]]
    update: Future[OptimStepResponse] | None
    tokens: int
    weight: float
    metrics: Metrics = field(factory=dict)
    read: Callable[[Sequence[ForwardBackwardOutput]], Metrics] = lambda _: {}


class Method(Protocol):
    """A training method: what a step sends, and what is measured on held-out data."""

    @property
    def steps_per_epoch(self) -> int:
        """Return how many steps have every example once."""

    @property
    def objective(self) -> Objective | None:
        """Return what is measured; None if nothing is held out."""

    def send(self, training: TrainingClient, number: int, adam: AdamParams) -> Sent:
        """Send a step, numbered from 1, without waiting for its result."""

    def measure(self, training: TrainingClient) -> Measurement:
        """Begin to measure the weights as they are now on what is held out."""

    def settle(self) -> None:
        """Complete what was begun for a later step, before the loop stops."""


class Run(Protocol):
    """What a loop goes through: `tinkex.recovery.ResumableRun`."""

    training: TrainingClient

    def steps(self, total: int) -> Iterable[Step]:
        """Yield the steps that are still to do, each to be done within its ``with`` block."""


class Step(Protocol):
    """One of them: its number, from 0, and a ``with`` block."""

    def __int__(self) -> int: ...

    def __enter__(self) -> object: ...

    def __exit__(
        self, kind: object, error: BaseException | None, traceback: object, /
    ) -> bool | None: ...


def train(
    run: Run,
    method: Method,
    recipe: Recipe,
    *,
    measured_at: Callable[[int], bool] = lambda _: False,
    settled_at: Callable[[int], bool] = lambda _: False,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[StepReport]:
    """Do the steps of a recipe and yield a report of each as its results arrive.

    >>> recipe = Recipe(base_model="Qwen/Qwen3-8B", steps=2)
    >>> prepared = prepare(recipe, read_examples("orders.jsonl"), tokenizer)
    >>> with resumable("runs/orders", service, base_model=recipe.base_model) as run:
    ...     for report in tinkex.recipes.train(run, tinkex.recipes.Sft(prepared), recipe):
    ...         print(report.step, report.loss < 20)
    1 True
    2 True

    Two steps are under way at a time, so the server never waits for the next one. A step that has
    to be done again, because the model was lost and restored from a checkpoint, is reported again.

    Args:
        run: The model, and the steps that it has not done yet.
        method: What each step sends.
        recipe: Its number of steps and learning rates.
        measured_at: Whether held-out data is measured after so many steps.
        settled_at: Whether so many steps are all to be reported before another one is sent: where
            the run is saved, which waits for them in any case, and where the weights of exactly
            this step matter.
        stop: Asked after each step that was sent; True ends the loop when those under way are
            reported. Leaving it in another way leaves the model a step further than the last
            report.

    Raises:
        DivergedError: The loss that the server gives is no number any more.
        TinkexError: The server refused a step, or its result cannot be had.
    """
    total = recipe.total_steps(method.steps_per_epoch)
    schedule = recipe.schedule(total)
    under_way: deque[tuple[int, float, Sent, Measurement | None]] = deque()

    def report() -> StepReport:
        return _report(*under_way.popleft(), steps_per_epoch=method.steps_per_epoch)

    for step in run.steps(total):
        done: list[StepReport] = []
        with step:
            number = int(step) + 1
            if under_way and under_way[-1][0] != number - 1:
                # The model was restored; what the lost one had still to return is void.
                under_way.clear()
            rate = schedule.at(number - 1)
            sent = method.send(run.training, number, recipe.adam(rate))
            measurement = method.measure(run.training) if measured_at(number) else None
            under_way.append((number, rate, sent, measurement))
            is_last = number == total or settled_at(number)
            while len(under_way) >= (1 if is_last else _AHEAD):
                done.append(report())
        yield from done
        if stop():
            method.settle()
            break
    while under_way:
        yield report()


def send_step(
    training: TrainingClient,
    parts: Sequence[Sequence[Datum]],
    loss_fn: str,
    adam: AdamParams,
    loss_fn_config: Mapping[str, float | str] | None = None,
) -> tuple[Sequence[Future[ForwardBackwardOutput]], Future[OptimStepResponse]]:
    """Send an optimizer step whose gradients accumulate over several forward_backward calls."""
    *first, last = parts
    outputs = [training.forward_backward(part, loss_fn, loss_fn_config) for part in first]
    output, update = training.train_step(last, loss_fn, adam, loss_fn_config)
    return [*outputs, output], update


def loss_of(outputs: Iterable[ForwardBackwardOutput]) -> float | None:
    """Return the summed loss of outputs; None if the server gives none."""
    sums = [one.loss for one in outputs if one.has_loss or math.isfinite(one.loss)]
    return sum(sums) if sums else None


def _report(
    number: int,
    rate: float,
    sent: Sent,
    measurement: Measurement | None,
    *,
    steps_per_epoch: int,
) -> StepReport:
    outputs = [one.result() for one in sent.outputs]
    loss = loss_of(outputs)
    if loss is not None:
        loss /= sent.weight
        if not math.isfinite(loss):
            raise DivergedError(
                f"the loss of step {number} is {loss}: the run diverged. Begin again with a lower "
                f"learning rate than {rate:g}, or clip the gradient"
            )
    found = (sent.update.result().metrics or {}) if sent.update is not None else {}
    return StepReport(
        step=number,
        epoch=number / steps_per_epoch,
        loss=loss,
        learning_rate=rate,
        grad_norm=found.get("unclipped_grad_l2:mean"),
        tokens=sent.tokens,
        metrics={**sent.metrics, **sent.read(outputs)},
        measured=_finite(measurement()) if measurement else {},
    )


def _finite(measured: Metrics) -> Metrics:
    for name, value in measured.items():
        if not math.isfinite(value):
            raise DivergedError(
                f"the {_label(name)} is {value}: the run diverged. Begin again with a lower learning "
                "rate, or clip the gradient"
            )
    return measured


def _label(name: str) -> str:
    return name.replace("held_out_", "validation ").replace("_", " ")
