"""The examples that train learn what they say they teach, and measure it on held-out data."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from examples.test_examples import EXAMPLES, output_on, run
from support.extent import ALL

from tinkex import recipes
from tinkex.local import LocalServer
from tinkex.observability import training_log


def numbers(pattern: str, out: str) -> list[float]:
    """Return the numbers that a pattern finds in the output."""
    found = re.search(pattern, out)
    assert found, out
    return [float(one) for one in found.groups()]


def training_on(name: str, most: int, home: Path, *settings: str) -> list[str]:
    """Return what the short form gives an example: the first lines of its data, and fewer or smaller steps.

    The whole form gives it nothing, so that it does what it does for a reader.
    """
    if ALL:
        return []
    lines = (EXAMPLES / f"data/{name}.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    file = home / f"{name}.jsonl"
    file.write_text("".join(lines[:most]), encoding="utf-8")
    return [str(file), *settings]


def test_fine_tuning_on_a_file_lowers_the_validation_loss(
    shared_server: LocalServer, tmp_path: Path
) -> None:
    """A few steps take most of the loss on conversations that are not trained on."""
    out = output_on(shared_server, "sft_jsonl", tmp_path, "--steps", "12")
    first, last = numbers(r"Validation loss per token: ([\d.]+) -> ([\d.]+)", out)
    assert last < first / 3
    assert re.search(r"Saved for a day: tinker://", out)
    assert len(training_log.read(tmp_path / "sft.metrics.jsonl")) == 12


def test_a_file_that_is_no_data_is_named_with_its_line(tmp_path: Path) -> None:
    """The line and what is wrong with it are in the error."""
    file = tmp_path / "bad.jsonl"
    file.write_text('\n{"messages": [{"role": "user"}]}\n')
    done = run("sft_jsonl", tmp_path, str(file))
    assert done.returncode == 1
    assert re.fullmatch(r"error: .*bad\.jsonl:2: messages\[0\]\.content: .+\n", done.stderr)
    missing = run("sft_jsonl", tmp_path, "nowhere.jsonl")
    assert missing.returncode == 1
    assert re.fullmatch(r"error: .*nowhere\.jsonl.*\n", missing.stderr)


def test_reinforcement_learning_raises_the_held_out_reward(
    shared_server: LocalServer, tmp_path: Path
) -> None:
    """A few steps of rewards alone make correct responses likelier to other questions."""
    short = training_on(
        "questions", 100, tmp_path,
        "--steps", "5", "--batch-size", "8", "--learning-rate", "5e-3",
    )  # fmt: skip
    out = output_on(shared_server, "rl_importance_sampling", tmp_path, *short)
    first, last = numbers(r"on held-out prompts: ([\d.]+) -> ([\d.]+)", out)
    assert last > first + 0.1


def test_a_tool_is_used_because_it_is_rewarded(shared_server: LocalServer, tmp_path: Path) -> None:
    """Only whoever looks the price up earns anything, and the model comes to do so."""
    short = training_on(
        "prices", 60, tmp_path,
        "--steps", "4", "--batch-size", "6", "--group-size", "6", "--learning-rate", "8e-3",
    )  # fmt: skip
    out = output_on(shared_server, "rl_tool_use", tmp_path, *short)
    first, last = numbers(r"on held-out prompts: ([\d.]+) -> ([\d.]+)", out)
    assert last > first + 0.1
    calls = [int(one) for one in re.findall(r"tool called (\d+)%", out)]
    assert calls[1] > calls[0]


def test_preferences_are_learned_without_losing_what_is_right(
    shared_server: LocalServer, tmp_path: Path
) -> None:
    """The margin of held-out pairs grows, and responses become the chosen ones, facts included."""
    short = [] if ALL else ["--steps", "10", "--learning-rate", "1e-3"]
    out = output_on(shared_server, "dpo_preferences", tmp_path, *short)
    margin, positive = numbers(r"0\.0 -> ([\d.]+) nats, positive for (\d+)%", out)
    assert margin > 1
    assert positive == 100
    before, after = numbers(r"the chosen one: (\d+)% -> (\d+)%", out)
    assert (before, after >= 50) == (0, True)


def test_samples_become_preference_data(shared_server: LocalServer, tmp_path: Path) -> None:
    """Each line is a pair that DPO reads, the correct response chosen; training on them pays."""
    short = training_on(
        "questions", 140, tmp_path, "--samples", "6", "--steps", "6", "--learning-rate", "2e-3"
    )
    out = output_on(shared_server, "preferences_from_samples", tmp_path, *short)
    lines = (tmp_path / "pairs.jsonl").read_text(encoding="utf-8").splitlines()
    pairs = recipes.read_examples(tmp_path / "pairs.jsonl", form="pairs").examples
    assert len(lines) == len(pairs) > 50
    for one in map(json.loads, lines):
        [asked], [chosen], [rejected] = one["prompt"], one["chosen"], one["rejected"]
        assert chosen["content"] in asked["content"]
        assert chosen != rejected
    first, last = numbers(r"held-out prompts: ([\d.]+) -> ([\d.]+)", out)
    assert last > first + 0.1


def test_distillation_brings_the_student_nearer(shared_server: LocalServer, tmp_path: Path) -> None:
    """The divergence from the teacher on held-out texts falls."""
    out = output_on(shared_server, "distillation", tmp_path, "--texts", "5", "--steps", "15")
    first, last = numbers(r"held-out texts: ([\d.]+) -> ([\d.]+) nats", out)
    assert last < 0.85 * first


def test_a_prompt_moves_into_the_weights(shared_server: LocalServer, tmp_path: Path) -> None:
    """Without the system prompt, the student responds as the teacher does with it."""
    short = training_on(
        "prompts", 60, tmp_path, "--samples", "3", "--steps", "12", "--learning-rate", "4e-3"
    )
    out = output_on(shared_server, "prompt_distillation", tmp_path, *short)
    before, after = numbers(r"equal to the teacher's: (\d+)% -> (\d+)%", out)
    assert (before, after > 60) == (0, True)


def test_a_sweep_finds_the_better_setting(shared_server: LocalServer, tmp_path: Path) -> None:
    """A rate that is far too small loses against one that suits; both are in the table."""
    out = output_on(
        shared_server, "hyperparameter_sweep", tmp_path,
        "--rates", "1e-5", "8e-3", "--ranks", "4", "8", "--steps", "3",
    )  # fmt: skip
    assert "4 settings of 3 steps" in out
    assert re.search(r"^ +1e-05 +[\d.]+ +[\d.]+$", out, re.MULTILINE)
    assert "Best: learning rate 0.008, rank " in out


def test_an_evaluation_compares_a_checkpoint_with_its_base(
    shared_server: LocalServer, tmp_path: Path
) -> None:
    """The expected responses are likelier after training; a named checkpoint is taken as it is."""
    arguments = ("--share", "0.1", "--steps", "6")
    out = output_on(shared_server, "evaluate_checkpoint", tmp_path, *arguments)
    base, tuned = map(float, re.findall(r"perplexity ([\d.]+)", out))
    assert tuned < base / 5
    assert out.count("of 28 correct = ") == 2
    path = out.partition(",")[0]
    assert output_on(shared_server, "evaluate_checkpoint", tmp_path, path, *arguments) == out


def test_a_judge_is_measured_before_it_judges(shared_server: LocalServer, tmp_path: Path) -> None:
    """It agrees with known preferences in both orders, and prefers the model that was trained longer."""
    out = output_on(shared_server, "judge_evaluation", tmp_path)
    untrained, judge = re.findall(
        r": (\d+)% of 16 known pairs right, .+ for (\d+)%$", out, re.MULTILINE
    )
    assert int(untrained[0]) < 50
    assert min(map(int, judge)) > 80
    wins, losses = numbers(r"First model better (\d+), second better (\d+)", out)
    assert wins > losses + 5


@pytest.mark.parametrize("name", ["sft_jsonl", "hyperparameter_sweep", "rl_importance_sampling"])
def test_too_little_data_is_refused(name: str, tmp_path: Path, shared_server: LocalServer) -> None:
    """A file of one conversation leaves nothing to hold out, and that is said."""
    file = tmp_path / "one.jsonl"
    message = (
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}'
    )
    file.write_text(message)
    done = run(name, tmp_path, str(file), TINKER_BASE_URL=shared_server.base_url)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "hold out" in done.stderr
