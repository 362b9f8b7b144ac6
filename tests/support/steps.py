"""Work for futures that goes by a list."""

from __future__ import annotations

from typing import Any

from attrs import define, field

from tinkex.polling import Done


@define(eq=False)
class Steps:
    """Do what a list says, one item each step and the last one again and again.

    An item is a pause, a result, an error to raise, or a function that returns one of these.
    """

    items: list[Any]
    promise: Any = None
    abandoned: int = 0
    patience: list[float] = field(factory=list)

    def step(self, patience: float) -> float | Done[Any]:
        self.patience.append(patience)
        item = self.items.pop(0) if len(self.items) > 1 else self.items[0]
        if callable(item):
            item = item()
        if isinstance(item, BaseException):
            raise item
        return item if isinstance(item, Done) else float(item)

    def abandon(self) -> None:
        self.abandoned += 1
