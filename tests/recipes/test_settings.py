"""Settings that a server would refuse, at the end or at the beginning, are refused before it is asked."""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
from support.nano import NANO, nano_service

from tinkex import ServiceClient, get_tokenizer
from tinkex.errors import TinkexError, ValidationError
from tinkex.local import LocalServer
from tinkex.recipes import (
    Plan,
    Prepared,
    Recipe,
    Source,
    chat_format,
    fine_tune,
    prepare,
    read_examples,
    recommended_learning_rate,
)
from tinkex.recipes.folder import _LONGEST_NAME, _NAME, has_run
from tinkex.recipes.recipe import _LARGEST
from tinkex.recipes.sft import HELD_OUT_LOSS
from tinkex.recipes.verdict import loss_failures, validation_failures

__all__ = ["nano_service"]

ROOT = Path(__file__).parents[2]
TOKENIZER = get_tokenizer(NANO)
ROWS = [{"prompt": f"{number} is", "completion": f" {number}"} for number in range(6)]


def plan_of(rows: list[dict[str, Any]] = ROWS, **settings: Any) -> tuple[Plan, Prepared]:
    names = {"name", "samples", "measure_every", "checkpoint_every"}
    recipe = Recipe(
        **{
            "base_model": NANO,
            "rank": 2,
            "batch_size": 2,
            "steps": 2,
            **{name: value for name, value in settings.items() if name not in names},
        }
    )
    file = read_examples(rows)
    more = {name: value for name, value in settings.items() if name in names}
    return Plan(recipe=recipe, data=Source.of(file), **more), prepare(recipe, file, TOKENIZER)


def test_the_bounds_are_those_of_the_contract() -> None:
    """Of names and of numbers."""
    spec = json.loads(resources.files("tinkex_generated").joinpath("openapi.json").read_text())
    schemas = spec["components"]["schemas"]
    for name in ("SaveWeightsRequest", "SaveWeightsForSamplerRequest"):
        path = schemas[name]["properties"]["path"]
        assert path["pattern"] == f"^{_NAME.pattern}$"
        assert path["maxLength"] == _LONGEST_NAME
    adapter = schemas["LoraConfig"]["properties"]
    assert (adapter["rank"]["minimum"], adapter["seed"]["maximum"]) == (1, _LARGEST)


@pytest.mark.parametrize("name", ["a@b", "ä", ".a", "a" * 256, "a b", "", "step-0000050"])
def test_a_name_that_cannot_be_saved_is_refused(name: str) -> None:
    """At the beginning, not after all steps."""
    with pytest.raises(ValidationError, match="name"):
        plan_of(name=name)


@pytest.mark.parametrize("name", ["final", "a", "1.0_b-c", "_", "a" * 255, "step-50"])
def test_a_name_that_the_contract_allows_is_allowed(name: str) -> None:
    """Whatever it is."""
    assert plan_of(name=name)[0].name == name


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"samples": ("",)}, "samples[0]: must be a text"),
        ({"samples": ("a", "\ud83d")}, "samples[1]: holds bytes that are no text"),
        ({"measure_every": 0}, "measure_every: must be an integer of at least 1"),
        ({"checkpoint_every": 0}, "checkpoint_every: must be an integer of at least 1"),
    ],
)
def test_a_plan_refuses_what_cannot_be_right(settings: dict[str, Any], said: str) -> None:
    """The error names the field."""
    with pytest.raises(ValidationError) as caught:
        plan_of(**settings)
    assert str(caught.value).startswith(said)


def test_a_start_that_is_refused_leaves_nothing(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """So that the next one in the same folder is not refused for it; what was there stays."""
    for settings in ({"base_model": "tinkex/none"}, {"rank": 100_000}):
        plan, prepared = plan_of(**settings)
        with pytest.raises(TinkexError):
            fine_tune(nano_service, plan, prepared, tmp_path / "run")
        assert not (tmp_path / "run").exists()
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "notes.txt").write_text("mine")
    with pytest.raises(TinkexError):
        fine_tune(nano_service, plan, prepared, tmp_path / "own")
    assert [one.name for one in (tmp_path / "own").iterdir()] == ["notes.txt"]
    plan, prepared = plan_of()
    assert fine_tune(nano_service, plan, prepared, tmp_path / "own").finished
    assert has_run(tmp_path / "own")
    # A run that is there is not changed by a start that is refused.
    before = {one.name: one.read_bytes() for one in (tmp_path / "own").iterdir()}
    other, prepared = plan_of(rank=3)
    with pytest.raises(ValidationError, match="other settings"):
        fine_tune(nano_service, other, prepared, tmp_path / "own")
    assert {one.name: one.read_bytes() for one in (tmp_path / "own").iterdir()} == before


def test_a_sample_that_is_too_long_is_refused_before_anything_is_sent(tmp_path: Path) -> None:
    """By what the model can read."""
    plan, _ = plan_of(samples=("so " * 100,))
    prepared = prepare(plan.recipe, read_examples(ROWS), TOKENIZER, context_length=50)
    with (
        LocalServer(data_dir=tmp_path) as server,
        ServiceClient(base_url=server.base_url) as service,
    ):
        server.stop()
        with pytest.raises(ValidationError, match=r"samples: 'so so .* the model can read 50"):
            fine_tune(service, plan, prepared, tmp_path / "run")


def test_a_variable_that_has_no_effect_is_refused() -> None:
    """One that the template does not read, one of a plain format, one that is set by others."""
    tiny = get_tokenizer("tinkex/tiny-chat")
    assert tiny.template_variables >= {"messages", "add_generation_prompt"}
    with pytest.raises(ValidationError, match="enable_thinking has no effect: the chat template"):
        chat_format(tiny, "template", enable_thinking=False)
    with pytest.raises(ValidationError, match="the plain format has no variables"):
        chat_format(tiny, "plain", enable_thinking=False)
    for name in ("messages", "tools", "tokenize", "padding", "return_tensors", "chat_template"):
        with pytest.raises(
            ValidationError, match=f"{name} cannot be a variable of a chat template"
        ):
            chat_format(tiny, "template", **{name: True})
    messages = [{"role": "user", "content": "a"}]
    with pytest.raises(ValidationError, match="continue_final_message cannot be"):
        tiny.apply_chat_template(messages, continue_final_message=True)


def test_a_rate_suits_the_model() -> None:
    """That of the sweep where there is one, whatever the rank; the recipe has it where none is given."""
    assert recommended_learning_rate("meta-llama/Llama-3.1-8B", 1) == 3e-4
    assert recommended_learning_rate("meta-llama/Llama-3.1-8B", 128) == 3e-4
    assert recommended_learning_rate("somebody/else") == recommended_learning_rate(None) == 3e-4
    assert Recipe(base_model="tinkex/tiny-chat").learning_rate == 1e-2
    assert Recipe(base_model="Qwen/Qwen3-8B").learning_rate == 1e-3
    assert Recipe(base_model="Qwen/Qwen3-8B", learning_rate=2e-5).learning_rate == 2e-5
    assert Recipe(from_checkpoint="tinker://r/weights/a").learning_rate == 3e-4
    with pytest.raises(ValidationError, match="rank: must be an integer of at least 1"):
        recommended_learning_rate(NANO, 0)


@pytest.mark.parametrize("model", ["tinkex/nano", "tinkex/tiny-chat"])
def test_the_defaults_of_the_models_that_ship_learn(
    model: str, nano_service: ServiceClient, tmp_path: Path
) -> None:
    """Without a single option, the validation loss ends far below where it began."""
    file = read_examples(ROOT / "examples/data/tickets.jsonl")
    recipe = Recipe(base_model=model)
    prepared = prepare(recipe, file, get_tokenizer(model))
    assert (len(prepared.batches.examples), len(prepared.held_out)) == (252, 28)
    plan = Plan(recipe=recipe, data=Source.of(file))
    outcome = fine_tune(nano_service, plan, prepared, tmp_path)
    assert outcome.held_out_loss_before is not None
    assert outcome.held_out_loss is not None
    assert outcome.held_out_loss < outcome.held_out_loss_before / 2
    assert outcome.failures == []


def test_a_run_that_learns_nothing_says_so(nano_service: ServiceClient, tmp_path: Path) -> None:
    """A rate that is far too high makes the loss rise; what is wrong is in the result."""
    file = read_examples(ROOT / "examples/data/orders.jsonl")
    recipe = Recipe(base_model=NANO, rank=4, learning_rate=5.0, steps=5, batch_size=8)
    prepared = prepare(recipe, file, TOKENIZER)
    plan = Plan(recipe=recipe, data=Source.of(file), measure_every=2)
    outcome = fine_tune(nano_service, plan, prepared, tmp_path)
    loss, validation = outcome.failures
    assert loss.startswith("the loss did not fall: 7.")
    assert loss.endswith("Try a lower learning rate than 5, such as 0.01")
    assert validation.startswith("the validation loss ")
    stored = Plan.read(tmp_path).result
    assert stored is not None
    assert stored["failures"] == [loss, validation]


def test_a_verdict_goes_by_the_recommended_rate() -> None:
    """Higher, lower, or something else; a loss that fell has no failures."""
    low = Recipe(base_model=NANO, learning_rate=1e-6)
    usual = Recipe(base_model=NANO)
    assert not list(loss_failures(usual, 2.0, 1.9))
    assert not list(validation_failures(usual, HELD_OUT_LOSS, 2.0, 1.9, only_worse=False))
    (said,) = loss_failures(low, 2.0, 2.0)
    assert said.endswith("Try a higher learning rate than 1e-06, such as 0.01")
    (said,) = validation_failures(usual, HELD_OUT_LOSS, 2.0, 2.5, only_worse=True)
    assert said.startswith(
        "the validation loss only rose: 2.0000 before training, 2.5000 at the end."
    )
    assert "fewer epochs" in said
    (said,) = validation_failures(usual, HELD_OUT_LOSS, 2.0, 2.5, only_worse=False)
    assert said.startswith("the validation loss is no lower than before training: ")


def test_few_lines_are_all_trained_on() -> None:
    """A tenth of many is held out, and 200 at most; a share that is given is taken."""

    def held_out(count: int, **settings: Any) -> int:
        rows = [{"prompt": f"{number}", "completion": " it"} for number in range(count)]
        return len(plan_of(rows, **settings)[1].held_out)

    assert [held_out(19), held_out(20), held_out(280), held_out(3000)] == [0, 2, 28, 200]
    assert held_out(280, held_out=0.0) == 0
    assert held_out(20, held_out=0.2) == 4
