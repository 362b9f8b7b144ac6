"""Which examples each step trains on: a function of seed and step alone, so that a run can resume."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Generic, TypeVar

from tinkex.errors import ValidationError

T = TypeVar("T")


def shuffled(count: int, seed: int, epoch: int | str) -> list[int]:
    """Return the numbers below `count` in an order that depends on seed and epoch alone.

    >>> shuffled(4, seed=0, epoch=0) == shuffled(4, seed=0, epoch=0) != shuffled(4, seed=0, epoch=1)
    True

    Each number is sorted by a hash, because the orders that random generators give may change from
    one release to the next, and a run must find its own again.
    """
    key = f"{seed}/{epoch}/".encode()
    return sorted(
        range(count),
        key=lambda index: hashlib.blake2b(b"%s%d" % (key, index), digest_size=16).digest(),
    )


def split(examples: Sequence[T], share: float, seed: int) -> tuple[list[T], list[T]]:
    """Divide examples into those to train on and those that are held out, each in their order.

    >>> split(list("abcd"), share=0.25, seed=0)
    (['a', 'b', 'd'], ['c'])

    Args:
        examples: All of them.
        share: The part that is held out, at least 0 and below 1; rounded, but at least one example
            if it is above 0.
        seed: Fixes which ones.

    Raises:
        ValidationError: The share is none, or nothing would be left to train on.
    """
    if not 0 <= share < 1:
        raise ValidationError(f"must be at least 0 and below 1, not {share!r}", path="share")
    count = max(1, round(share * len(examples))) if share else 0
    if count >= len(examples):
        raise ValidationError(
            f"{len(examples)} example{'s' if len(examples) != 1 else ''} cannot be divided into "
            "some to train on and some to hold out",
            path="share",
        )
    chosen = set(shuffled(len(examples), seed, "held out")[:count])
    kept = [one for index, one in enumerate(examples) if index not in chosen]
    return kept, [one for index, one in enumerate(examples) if index in chosen]


class Batches(Generic[T]):
    """Batches indexed by step; reshuffled every epoch.

    >>> batches = Batches(list("abcde"), batch_size=2, seed=0)
    >>> batches.steps_per_epoch, sorted(batches[0] + batches[1] + batches[2])
    (3, ['a', 'b', 'c', 'd', 'e'])

    Every epoch has every example once, in an order of its own; its last batch may be smaller.

    Attributes:
        examples: All examples.
        batch_size: Examples of a batch.
        seed: Fixes the orders.
        steps_per_epoch: Batches that hold every example once.
    """

    def __init__(self, examples: Sequence[T], batch_size: int, seed: int = 0) -> None:
        if not examples:
            raise ValidationError("there is none to train on", path="examples")
        if batch_size < 1:
            raise ValidationError(f"must be at least 1, not {batch_size!r}", path="batch_size")
        self.examples = examples
        self.batch_size = batch_size
        self.seed = seed
        self.steps_per_epoch = -(-len(examples) // batch_size)
        self._order: tuple[int, list[int]] = (-1, [])

    def epoch(self, step: int) -> int:
        """Return the epoch of a step, both from 0."""
        return step // self.steps_per_epoch

    def __getitem__(self, step: int) -> list[T]:
        """Return the examples of a step, from 0."""
        if step < 0:
            raise IndexError("steps are numbered from 0")
        epoch, place = divmod(step, self.steps_per_epoch)
        if self._order[0] != epoch:
            self._order = (epoch, shuffled(len(self.examples), self.seed, epoch))
        first = place * self.batch_size
        return [self.examples[one] for one in self._order[1][first : first + self.batch_size]]
