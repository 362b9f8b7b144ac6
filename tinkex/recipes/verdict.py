"""Whether a run learned anything, judged by its losses."""

from __future__ import annotations

from collections.abc import Iterator

from tinkex.recipes.loop import Objective
from tinkex.recipes.rates import recommended_learning_rate
from tinkex.recipes.recipe import Recipe


def loss_failures(recipe: Recipe, first: float, last: float) -> Iterator[str]:
    """Yield what is wrong with the losses of a run; nothing if they fell.

    >>> recipe = Recipe(base_model="tinkex/nano", learning_rate=5.0)
    >>> [failure[:61] for failure in loss_failures(recipe, 7.0, 2815.0)]
    ['the loss did not fall: 7.0000 at first, 2,815.0000 at the end']

    Args:
        recipe: How it was trained.
        first: The mean loss of its first steps.
        last: The mean loss of its last steps.
    """
    if last >= first:
        yield (
            f"the loss did not fall: {first:,.4f} at first, {last:,.4f} at the end. {_advice(recipe)}"
        )


def validation_failures(
    recipe: Recipe, objective: Objective, before: float, after: float, *, only_worse: bool
) -> Iterator[str]:
    """Yield what is wrong with what was measured on held-out data; nothing if it improved.

    Args:
        recipe: How it was trained.
        objective: What was measured.
        before: Its value before the first step.
        after: The last one.
        only_worse: Whether none of them was better than the one before it.
    """
    if objective.is_better(after, before):
        return
    lower = objective.goal == "lower"
    only = "only rose" if lower else "only fell"
    no = "is no lower than before training" if lower else "is no higher than before training"
    yield (
        f"the {objective.label} {only if only_worse and after != before else no}: {before:,.4f} before training, "
        f"{after:,.4f} at the end. {_advice(recipe)}"
    )


def _advice(recipe: Recipe) -> str:
    usual = recommended_learning_rate(recipe.base_model, recipe.rank, method=recipe.method)
    rate = recipe.learning_rate
    if rate > usual:
        return f"Try a lower learning rate than {rate:g}, such as {usual:g}"
    if rate < usual / 4:
        return f"Try a higher learning rate than {rate:g}, such as {usual:g}"
    return f"Try fewer epochs, more examples, or another learning rate than {rate:g}"
