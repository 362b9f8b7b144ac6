"""Which step trains on what, and how fast: functions of the recipe and the step's number."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tinkex.errors import ValidationError
from tinkex.recipes import Batches, shuffled, split
from tinkex.recipes.recipe import Recipe
from tinkex.recipes.schedule import Schedule


@given(st.integers(1, 60), st.integers(1, 20), st.integers(0, 2**40))
def test_every_epoch_has_every_example_once(count: int, batch_size: int, seed: int) -> None:
    """However the examples divide into batches."""
    batches = Batches(list(range(count)), batch_size, seed)
    for epoch in range(3):
        first = epoch * batches.steps_per_epoch
        steps = range(first, first + batches.steps_per_epoch)
        assert sorted(one for step in steps for one in batches[step]) == list(range(count))
        assert {batches.epoch(step) for step in steps} == {epoch}


def test_a_batch_depends_on_seed_and_step_alone() -> None:
    """Who resumes at a step gets what the one before would have got there."""
    examples = list(range(50))
    wanted = [Batches(examples, 8, seed=3)[step] for step in range(20)]
    whole = Batches(examples, 8, seed=3)
    assert [whole[step] for step in range(20)] == wanted
    assert [whole[step] for step in reversed(range(20))] == wanted[::-1]
    assert Batches(examples, 8, seed=4)[0] != wanted[0]
    assert whole[0] != whole[7]


def test_an_order_never_changes() -> None:
    """These numbers are a promise: a run that was begun with another release finds its own order."""
    assert shuffled(8, seed=0, epoch=0) == [7, 0, 1, 5, 3, 4, 2, 6]
    assert shuffled(8, seed=1, epoch=5) == [3, 4, 5, 0, 7, 6, 1, 2]


@given(st.integers(2, 60), st.floats(0.001, 0.99), st.integers(0, 99))
def test_a_split_divides(count: int, share: float, seed: int) -> None:
    """Each example is on one side, both sides keep the order, and neither is empty."""
    examples = list(range(count))
    try:
        kept, held = split(examples, share, seed)
    except ValidationError as error:
        assert "cannot be divided" in str(error)  # noqa: PT017 - only for shares near 1
        assert round(share * count) >= count
        return
    assert sorted(kept + held) == examples
    assert kept == sorted(kept)
    assert held == sorted(held)
    assert len(held) == max(1, round(share * count))
    assert split(examples, share, seed) == (kept, held)


def test_nothing_is_held_out_unless_asked_for() -> None:
    """A share of 0 keeps all; one that leaves nothing is refused."""
    assert split([1, 2], 0, seed=0) == ([1, 2], [])
    with pytest.raises(ValidationError, match="1 example cannot be divided"):
        split([1], 0.5, seed=0)
    with pytest.raises(ValidationError, match="below 1"):
        split([1, 2], 1.0, seed=0)


def test_batches_of_nothing_are_refused() -> None:
    """The error names the argument."""
    with pytest.raises(ValidationError, match="examples"):
        Batches([], 4)
    with pytest.raises(ValidationError, match="batch_size"):
        Batches([1], 0)
    with pytest.raises(IndexError):
        Batches([1], 1)[-1]


def test_a_rate_rises_and_falls() -> None:
    """It has its peak after the warm-up and would be 0 one step after the last."""
    linear = Schedule("linear", 1.0, steps=5, warmup=1)
    assert [linear.at(step) for step in range(5)] == [0.5, 1.0, 0.75, 0.5, 0.25]
    cosine = Schedule("cosine", 2.0, steps=4)
    assert [round(cosine.at(step), 6) for step in range(4)] == [2.0, 1.707107, 1.0, 0.292893]
    constant = Schedule("constant", 3.0, steps=4, warmup=2)
    assert [constant.at(step) for step in range(4)] == [1.0, 2.0, 3.0, 3.0]


@given(
    st.sampled_from(["constant", "linear", "cosine"]),
    st.integers(1, 50),
    st.integers(0, 60),
    st.floats(1e-8, 1.0),
)
def test_a_rate_is_never_0_nor_above_its_peak(
    kind: str, steps: int, warmup: int, peak: float
) -> None:
    """A step that changes nothing, or one that changes too much, would be a waste."""
    rates = [Schedule(kind, peak, steps, warmup).at(step) for step in range(steps)]
    assert all(0 < rate <= peak for rate in rates)
    assert rates[:warmup] == sorted(rates[:warmup])
    assert rates[warmup:] == sorted(rates[warmup:], reverse=True)


def test_a_recipe_can_be_written_down_and_read() -> None:
    """What was read is the same recipe."""
    recipe = Recipe(base_model="tinkex/nano", steps=7, schedule_kind="cosine", held_out=0.1)
    assert Recipe.from_dict(recipe.to_dict()) == recipe
    assert recipe.total_steps(steps_per_epoch=5) == 7
    assert Recipe(base_model="m", epochs=3).total_steps(steps_per_epoch=5) == 15
    with pytest.raises(ValidationError, match="no field 'color'"):
        Recipe.from_dict({**recipe.to_dict(), "color": "red"})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("rank", 0),
        ("seed", -1),
        ("epochs", 0),
        ("steps", 0),
        ("batch_size", 2.5),
        ("warmup_steps", -1),
        ("max_length", 1),
        ("schedule_kind", "square"),
        ("loss_on", "nothing"),
        ("chat_format", "odd"),
        ("too_long", "cut"),
        ("held_out", 1.0),
        ("seed", 2**63),
        ("rank", 2**63),
        ("train_mlp", 1),
        ("learning_rate", 0.0),
        ("learning_rate", -1e-4),
        ("template_variables", {"messages": []}),
        ("template_variables", {"day": object()}),
        ("weight_decay", float("nan")),
        ("grad_clip_norm", -1.0),
    ],
)
def test_a_recipe_refuses_what_cannot_be_right(field: str, value: object) -> None:
    """The error names the field."""
    with pytest.raises(ValidationError, match=field):
        Recipe(base_model="m", **{field: value})
    with pytest.raises(ValidationError, match="base_model and from_checkpoint"):
        Recipe()
    with pytest.raises(ValidationError, match="base_model: must be the name of a model"):
        Recipe(base_model=" ")
    with pytest.raises(ValidationError, match="training resumes from a checkpoint of save_state"):
        Recipe(from_checkpoint="tinker://r/sampler_weights/a")
    with pytest.raises(ValidationError, match="one of them True"):
        Recipe(base_model="m", train_mlp=False, train_attn=False, train_unembed=False)


def test_a_gradient_is_measured_without_being_clipped() -> None:
    """Services tell its norm only where it is clipped, so the bound is one that nothing reaches."""
    recipe = Recipe(base_model="m", weight_decay=0.1)
    assert recipe.adam(0.5).grad_clip_norm == 1e9
    assert recipe.adam(0.5).learning_rate == 0.5
    assert recipe.adam(0.5).weight_decay == 0.1
    assert Recipe(base_model="m", grad_clip_norm=2.0).adam(0.5).grad_clip_norm == 2.0
