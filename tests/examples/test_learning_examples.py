"""The examples that train learn what they say they teach, measure it, and draw it."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ET
from pathlib import Path

import pytest
from examples.test_examples import output_on, run

from tinkex.local import LocalServer


def numbers(pattern: str, out: str) -> list[float]:
    """Return the numbers that a pattern finds in the output."""
    found = re.search(pattern, out)
    assert found, out
    return [float(one) for one in found.groups()]


def check_picture(folder: Path, name: str, curves: int, words: str) -> None:
    """The picture is well-formed SVG with as many curves, and holds the words."""
    text = (folder / f"{name}.svg").read_text(encoding="utf-8")
    root = ET.fromstring(text)
    assert len(root.findall(".//{http://www.w3.org/2000/svg}polyline")) == curves
    assert words in text


def test_fine_tuning_on_a_file_lowers_the_held_out_loss(
    shared_server: LocalServer, tmp_path: Path
) -> None:
    """A few steps take most of the loss on conversations that are not trained on."""
    out = output_on(shared_server, "sft_jsonl", tmp_path, TINKER_STEPS="12")
    first, last = numbers(r"held-out loss per token ([\d.]+) -> ([\d.]+)", out)
    assert last < first / 3
    assert re.search(r"Saved for a day: tinker://", out)
    check_picture(tmp_path, "sft_jsonl", 2, "held out")


def test_a_file_that_is_no_data_is_named_with_its_line(tmp_path: Path) -> None:
    """The line and the form that it should have are in the error."""
    file = tmp_path / "bad.jsonl"
    file.write_text('\n{"messages": [{"role": "user"}]}\n')
    done = run("sft_jsonl", tmp_path, TINKER_DATA=str(file))
    assert done.returncode == 1
    assert "bad.jsonl, line 2: " in done.stderr
    assert '"role": "assistant"' in done.stderr
    missing = run("sft_jsonl", tmp_path, TINKER_DATA="nowhere.jsonl")
    assert (missing.returncode, "nowhere.jsonl" in missing.stderr) == (1, True)


def test_reinforcement_learning_raises_the_held_out_reward(
    shared_server: LocalServer, tmp_path: Path
) -> None:
    """A few steps of rewards alone make right answers likelier on other questions."""
    out = output_on(
        shared_server, "rl_importance_sampling", tmp_path,
        TINKER_STEPS="5", TINKER_PROMPTS="10", TINKER_HELD_OUT="20",
    )  # fmt: skip
    first, last = numbers(r"right, sampled: ([\d.]+) -> ([\d.]+)", out)
    assert last > first + 0.1
    check_picture(tmp_path, "rl_importance_sampling", 2, "share of right answers")


def test_preferences_are_learned_without_losing_what_is_right(
    shared_server: LocalServer, tmp_path: Path
) -> None:
    """The margin on held-out pairs grows, and the answers keep their facts."""
    out = output_on(shared_server, "dpo_preferences", tmp_path, TINKER_STEPS="12")
    won, margin = numbers(r"margin grew: (\d+)%, by ([\d.]+) nats", out)
    assert won == 100
    assert margin > 1
    before, after = numbers(r"right word (\d+)% -> (\d+)%", out)
    assert after >= 0.8 * before
    check_picture(tmp_path, "dpo_preferences", 2, "margin on held-out pairs")


def test_distillation_brings_the_student_nearer(shared_server: LocalServer, tmp_path: Path) -> None:
    """The divergence on held-out texts falls, to below that of mere frequencies."""
    out = output_on(
        shared_server, "distillation", tmp_path,
        TINKER_TEXTS="96", TINKER_TOKENS="32", TINKER_STEPS="18", TINKER_LEARNING_RATE="2e-2",
    )  # fmt: skip
    first, last = numbers(r"held-out texts ([\d.]+) -> ([\d.]+) nats", out)
    [baseline] = numbers(r"would have ([\d.]+)", out)
    assert last < 0.8 * first
    assert last < baseline
    check_picture(tmp_path, "distillation", 2, "token frequencies alone")


def test_a_sweep_finds_the_better_setting(shared_server: LocalServer, tmp_path: Path) -> None:
    """A rate that is far too small loses against one that suits; both are in the table."""
    out = output_on(
        shared_server, "hyperparameter_sweep", tmp_path,
        TINKER_RATES="1e-5,8e-3", TINKER_RANKS="4,8", TINKER_STEPS="3",
    )  # fmt: skip
    assert "4 settings, 3 steps each" in out
    assert re.search(r"^ +1e-05 +[\d.]+ +[\d.]+$", out, re.MULTILINE)
    assert "Measured: best of 4: learning rate 0.008, rank " in out
    check_picture(tmp_path, "hyperparameter_sweep", 2, "rank 8")


def test_an_evaluation_compares_a_checkpoint_with_its_base(
    shared_server: LocalServer, tmp_path: Path
) -> None:
    """What was trained finds the wanted answers likelier; a named checkpoint is taken as it is."""
    settings = {"TINKER_HELD_OUT": "24", "TINKER_STEPS": "6"}
    out = output_on(shared_server, "evaluate_checkpoint", tmp_path, **settings)
    base, tuned = map(float, re.findall(r"perplexity of the answers ([\d.]+)", out))
    assert tuned < base / 5
    assert out.count("of 24 right = ") == 2
    check_picture(tmp_path, "evaluate_checkpoint", 0, "with 95 % intervals")
    path = re.search(r"Checkpoint: (\S+)", out)[1]  # type: ignore[index]
    again = output_on(
        shared_server, "evaluate_checkpoint", tmp_path, **settings, TINKER_CHECKPOINT_PATH=path
    )
    assert again == out[out.index("Checkpoint: ") :]


@pytest.mark.parametrize("name", ["sft_jsonl", "hyperparameter_sweep", "evaluate_checkpoint"])
def test_too_little_data_is_refused(name: str, tmp_path: Path, shared_server: LocalServer) -> None:
    """A file of one conversation leaves nothing to hold out, and that is said."""
    file = tmp_path / "one.jsonl"
    message = (
        '{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}'
    )
    file.write_text(message)
    settings = {"TINKER_DATA": str(file), "TINKER_BASE_URL": shared_server.base_url}
    done = run(name, tmp_path, **settings)
    assert done.returncode == 1
    assert done.stderr.startswith("error: TINKER_DATA")
