"""One step of a resumable training loop."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, Self

if TYPE_CHECKING:
    import numpy as np


class _Run(Protocol):
    """The interface of the run that a step belongs to."""

    def _step_over(self, step: int, error: BaseException | None) -> bool: ...


class Step(int):
    """The number of a step, from 0, and the block of its work.

    >>> with resumable("runs/mine", service, base_model="tinkex/nano") as run:
    ...     for step in run.steps(20):
    ...         with step:
    ...             batch = [data[step % len(data)]]
    ...             gradients, update = run.training.train_step(batch, "cross_entropy")

    It is an int. Used as a ``with`` block, it restores the run from its last checkpoint if the model is
    lost during the step: the block ends without an error, and the loop continues at an earlier step. So
    put all work of a step into its block.
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
        """Return a random number generator that depends only on the run's seed and the step.

        A batch that is drawn with it is the same when the step is repeated:

        >>> with resumable("runs/mine", service, base_model="tinkex/nano") as run:
        ...     for step in run.steps(2):
        ...         with step:
        ...             batch = [data[i] for i in step.rng.integers(len(data), size=8)]

        Each call starts the sequence again, so keep the generator in a variable to draw more than once.
        """
        import numpy as np

        return np.random.default_rng([abs(self._seed), int(self)])

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> bool:
        return self._run._step_over(int(self), error)
