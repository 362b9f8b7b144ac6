"""One step of a training loop that can be gone back to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    import numpy as np


class _Run(Protocol):
    """What a step tells the run that it belongs to."""

    def _step_over(self, step: int, error: BaseException | None) -> bool: ...


class Step(int):
    """Be the number of a step, from 0, and the block in which it is done.

    >>> with resumable("runs/mine", service, base_model="tinkex/nano") as run:
    ...     for step in run.steps(20):
    ...         with step:
    ...             batch = [data[step % len(data)]]
    ...             gradients, update = run.training.train_step(batch, "cross_entropy")

    It is an int. As a ``with`` block it lets the run go back to its last checkpoint when the model
    is lost in the midst of it: the block ends without an error, and the loop goes on at an earlier
    step. So whatever belongs to a step stands inside its block.
    """

    _run: _Run
    _seed: int

    @classmethod
    def of(cls, number: int, run: _Run, seed: int) -> Step:
        """Return the step of a run."""
        step = cls(number)
        step._run = run
        step._seed = seed
        return step

    @property
    def rng(self) -> np.random.Generator:
        """Return a generator of random numbers that depends on the run's seed and the step alone.

        A batch that is drawn with it is the same when the step is done again:

        >>> with resumable("runs/mine", service, base_model="tinkex/nano") as run:
        ...     for step in run.steps(2):
        ...         with step:
        ...             batch = [data[i] for i in step.rng.integers(len(data), size=8)]

        Each call begins anew, so keep it in a variable to draw more than once.
        """
        import numpy as np

        return np.random.default_rng([abs(self._seed), int(self)])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        return self._run._step_over(int(self), error)
