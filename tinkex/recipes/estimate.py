"""What a run will read and sample, how long that takes, and what it costs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from attrs import frozen

from tinkex.errors import TinkexError
from tinkex.observability import training_log
from tinkex.recipes.folder import METRICS, PLAN, RUNS, Plan
from tinkex.recipes.prepare import Prepared
from tinkex.recipes.recipe import RolloutRecipe

_MILLION = 1_000_000


@frozen
class Estimate:
    """What a run will take; for methods that sample, at most.

    Attributes:
        trained_tokens: Tokens that are trained on.
        sampled_tokens: Tokens that are sampled.
        tokens_per_second: The speed of an earlier run of the same model and method; None if there is
            none.
        measured_in: The folder of that run.
        seconds: How long the steps take at that speed.
        cost: What it costs, if prices were given.
    """

    trained_tokens: int
    sampled_tokens: int
    tokens_per_second: float | None
    measured_in: str | None
    seconds: float | None
    cost: float | None


def estimate(
    prepared: Prepared,
    price: float | None = None,
    sample_price: float | None = None,
    runs: Path = RUNS,
) -> Estimate:
    """Estimate what a run will take.

    >>> estimate(prepared, price=0.40).trained_tokens
    120

    Args:
        prepared: What it trains on.
        price: Price of a million tokens that are trained on.
        sample_price: Price of a million sampled tokens.
        runs: Where earlier runs are, whose speed is taken.
    """
    recipe = prepared.recipe
    kept = prepared.batches.examples
    steps_per_epoch = prepared.batches.steps_per_epoch
    epochs = prepared.steps / steps_per_epoch
    trained = sum(len(one.tokens) for one in kept) * epochs
    sampled = 0.0
    if isinstance(recipe, RolloutRecipe):
        responses = len(kept) * epochs * recipe.group_size
        sampled = responses * recipe.max_tokens
        trained = trained * recipe.group_size + sampled
    speed, folder = next(_speeds(prepared, runs), (None, None))
    cost = None
    if price is not None or sample_price is not None:
        cost = (trained * (price or 0) + sampled * (sample_price or 0)) / _MILLION
    return Estimate(
        trained_tokens=round(trained),
        sampled_tokens=round(sampled),
        tokens_per_second=speed,
        measured_in=folder,
        seconds=trained / speed if speed else None,
        cost=cost,
    )


def _speeds(prepared: Prepared, runs: Path) -> Iterator[tuple[float, str]]:
    """Yield the speeds of earlier runs of the model by the method, newest first."""
    plans = sorted(runs.glob(f"*/{PLAN}"), key=lambda one: one.stat().st_mtime, reverse=True)
    for plan in plans:
        folder = plan.parent
        try:
            earlier = Plan.read(folder).recipe
            records = training_log.read(folder / METRICS)
        except TinkexError:
            continue
        same = (earlier.method, earlier.base_model) == (
            prepared.recipe.method,
            prepared.recipe.base_model,
        )
        timed = [one for one in records if "tokens" in one and "time" in one]
        if not same or len(timed) < 2:
            continue
        seconds = timed[-1]["time"] - timed[0]["time"]
        if seconds > 0:
            yield sum(one["tokens"] for one in timed[1:]) / seconds, str(folder)
