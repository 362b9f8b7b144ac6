"""How the learning rate changes over a run."""

from __future__ import annotations

import math
from typing import Literal

from attrs import field, frozen, validators

Kind = Literal["constant", "linear", "cosine"]
KINDS: tuple[Kind, ...] = ("constant", "linear", "cosine")


@frozen
class Schedule:
    """The learning rate of each step.

    >>> schedule = Schedule("linear", peak=1.0, steps=5, warmup=1)
    >>> [schedule.at(step) for step in range(5)]
    [0.5, 1.0, 0.75, 0.5, 0.25]

    It rises linearly over the steps of the warm-up, has its peak at the next one, and then falls to
    what would be 0 one step after the last: in a line, or along half a cosine (Loshchilov & Hutter
    2017, arXiv:1608.03983), or not at all.

    Attributes:
        kind: "constant", "linear" or "cosine".
        peak: The highest learning rate.
        steps: How many steps the run has.
        warmup: How many of them are below the peak at the beginning.
    """

    kind: Kind = field(validator=validators.in_(KINDS))
    peak: float
    steps: int
    warmup: int = 0

    def at(self, step: int) -> float:
        """Return the learning rate of a step, from 0."""
        if step < self.warmup:
            return self.peak * (step + 1) / (self.warmup + 1)
        if self.kind == "constant":
            return self.peak
        passed = (step - self.warmup) / max(1, self.steps - self.warmup)
        if self.kind == "linear":
            return self.peak * (1.0 - passed)
        return self.peak * 0.5 * (1.0 + math.cos(math.pi * passed))
