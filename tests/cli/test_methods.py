"""`tinkex train --method`, `evaluate`, `sample`, configuration files, and runs by their folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.command import Shell
from support.methods import PAIRS, ROWS

import tinkex
from tinkex.local import LocalServer
from tinkex.recipes.folder import Plan

NANO = ("--base-model", "tinkex/nano", "--rank", "4", "--no-plot")
SHORT = (*NANO, "--steps", "2", "--batch-size", "4", "--held-out", "0.25")
TINY_CHAT = Path(tinkex.__file__).parent / "local/models/tiny-chat"
REWARD = "def ends(episode):\n    return float(episode.stop_reason == 'stop')\n"


def written(path: Path, rows: list[dict[str, Any]]) -> str:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return str(path)


@pytest.fixture
def pairs(tmp_path: Path) -> str:
    return written(tmp_path / "pairs.jsonl", PAIRS)


@pytest.fixture
def rows(tmp_path: Path) -> str:
    return written(tmp_path / "rows.jsonl", ROWS)


def test_each_method_is_an_option(shell: Shell, pairs: str, rows: str) -> None:
    """The result has what the method measures; a function of a file beside it is a reward."""
    Path("rewards.py").write_text(REWARD)
    done = shell("train", "--method", "dpo", pairs, *SHORT, "--json")
    assert done.code == 0, done.err
    assert {"held_out_loss", "held_out_margin"} <= done.json["measured"].keys()
    sampled = ("--max-tokens", "3", "--group-size", "2")
    rewards = ("--reward", "exact", "--reward", "rewards:ends=0.5")
    done = shell("train", "--method", "grpo", rows, *SHORT, *sampled, *rewards, "--json")
    assert done.code == 0, done.err
    assert {"held_out_reward", "held_out_reward_exact", "held_out_reward_rewards:ends"} == set(
        done.json["measured"]
    )
    assert Plan.read(Path(done.json["folder"])).recipe.to_dict()["rewards"] == {
        "exact": 1.0,
        "rewards:ends": 0.5,
    }
    teacher = ("--teacher", "runs/pairs")
    done = shell("train", "--method", "distill", rows, *SHORT, *sampled, *teacher)
    assert done.code == 0, done.err
    assert "validation kl: " in done.out


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--beta", "1"), "--beta goes with --method dpo, not with sft"),
        (("--method", "grpo"), "needs a --reward"),
        (("--method", "distill"), "needs a --teacher"),
        (("--method", "grpo", "--reward", "none"), "is none of exact, contains, regex, json"),
        (("--method", "grpo", "--reward", "exact=much"), "is not NAME=NUMBER"),
        (
            ("--method", "dpo", "--group-size", "2"),
            "--group-size goes with --method grpo or distill",
        ),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    shell: Shell, rows: str, options: tuple[str, ...], said: str
) -> None:
    """Exit code 2, before anything is sent."""
    done = shell("train", rows, *NANO, "--base-url", "http://127.0.0.1:9", *options)
    assert done.code == 2
    assert said in " ".join(done.err.split())


def test_options_come_from_a_file(shell: Shell, rows: str) -> None:
    """TOML, YAML, or the plan of a run; the command line takes precedence."""
    Path("a.toml").write_text(
        f'file = "{rows}"\nbase-model = "tinkex/nano"\nrank = 3\n\n[optimization]\nsteps = 1\n'
        'schedule = "cosine"\nheld-out = 0.25\n'
    )
    done = shell("train", "--config", "a.toml", "--rank", "2", "--no-plot", "-o", "first")
    assert done.code == 0, done.err
    first = Plan.read(Path("first"))
    assert (first.recipe.rank, first.recipe.steps, first.recipe.schedule_kind) == (2, 1, "cosine")
    done = shell("train", "--config", "first/finetune.json", "--no-plot", "-o", "second")
    assert done.code == 0, done.err
    second = Plan.read(Path("second"))
    assert (second.recipe, second.data) == (first.recipe, first.data)
    Path("b.json").write_text('{"colour": 1}')
    done = shell("train", "--config", "b.json")
    assert done.code == 2
    assert "sets 'colour', and there is no such option" in " ".join(done.err.split())
    pytest.importorskip("yaml")
    Path("c.yaml").write_text(
        f"file: {rows}\nmodel:\n  base-model: tinkex/nano\n  rank: 2\nsteps: 1\n"
    )
    done = shell("train", "--config", "c.yaml", "--no-plot", "-o", "third")
    assert done.code == 0, done.err
    assert Plan.read(Path("third")).recipe.rank == 2
    Path("c.yaml").write_text("base-model: [")
    assert "cannot be read" in shell("train", "--config", "c.yaml").err


def test_a_run_is_found_by_its_folder(shell: Shell, rows: str, server: LocalServer) -> None:
    """In place of a path, and as the latest one; `run list` shows what became of it."""
    done = shell("train", rows, *SHORT, "--json")
    assert done.code == 0, done.err
    path = done.json["sampler_path"]
    for named in ("runs/rows", "latest", path):
        talk = shell("chat", named, "--max-tokens", "2", "--temperature", "0", stdin="Hi\n")
        assert talk.code == 0, talk.err
    got = shell("checkpoint", "download", "runs/rows", "--output", "got", "--json")
    assert got.code == 0, got.err
    runs = shell("run", "list", "--limit", "0", "--json").json["runs"]
    [mine] = [run for run in runs if run["training_run_id"] == done.json["model_id"]]
    assert (mine["name"], mine["method"], mine["step"]) == ("rows", "sft", 2)
    assert mine["status"] == "finished"
    assert mine["loss"] == pytest.approx(done.json["last"]["loss"])
    assert "rows" in shell("run", "list", terminal=200).out
    best = shell("chat", "runs/rows@best", "--max-tokens", "2", stdin="Hi\n")
    assert best.code == (0 if done.json["best"] else 2)
    nothing = shell("chat", "--model-path", "latest@best") if not done.json["best"] else None
    assert nothing is None or "no best checkpoint" in nothing.err
    again = shell("train", "--resume", "latest")
    assert "has ended already" in again.err


def test_a_runs_folder_is_taken_wherever_a_path_is(shell: Shell, rows: str) -> None:
    """By each command that takes a checkpoint's path or a run's id; so is `latest`."""
    done = shell("train", rows, *SHORT, "--json")
    assert done.code == 0, done.err
    path, run_id = done.json["sampler_path"], done.json["model_id"]
    sampled = ("--max-tokens", "2", "--temperature", "0")
    for named in ("runs/rows", "latest"):
        for command in (("info",), ("publish",), ("unpublish",), ("set-ttl", "--ttl", "3600")):
            done = shell("checkpoint", command[0], named, *command[1:], "--json")
            assert done.code == 0, done.err
            assert path in (done.json.get("path"), done.json.get("tinker_path"))
        assert shell("checkpoint", "inspect", named, "--json").json["rank"] == 4
        for command in (("checkpoint", "list", "--run-id"), ("run", "info")):
            shown = shell(*command, named, "--json")
            assert shown.code == 0, shown.err
            assert run_id in (shown.json.get("run_id"), shown.json.get("training_run_id"))
        assert shell("run", "--model-path", named, "--prompt", "a", *sampled).code == 0
        assert shell("evaluate", named, rows, "--limit", "1", *sampled).code == 0
        assert shell("sample", named, rows, "-o", f"of-{named[-4:]}.jsonl", *sampled).code == 0
        saved = shell("checkpoint", "--model-path", named, "-o", "saved.json", "--name", "again")
        assert saved.code == 0, saved.err
    further = shell("train", rows, "--from", "runs/rows", "--steps", "1", "--no-plot", "--json")
    assert further.code == 0, further.err
    planned = shell(
        "checkpoint", "prune", "--run-id", "runs/rows", "--keep-last", "0", "--dry-run", "--json"
    )
    assert path in planned.json["paths"]
    assert shell("checkpoint", "delete", "runs/rows", "--yes", "--json").json["paths"] == [path]
    empty = shell("checkpoint", "info", str(Path.cwd()))
    assert empty.code == 2
    assert "there is no run in" in empty.err


def test_an_adapter_is_merged_where_it_lies(shell: Shell, rows: str) -> None:
    """A run's folder or a path is downloaded for it, and a downloaded folder is taken as it is."""
    base = ("--base-model", "tinkex/tiny-chat", "--rank", "2", "--no-plot", "--steps", "1")
    done = shell("train", rows, *base, "--held-out", "0", "--json")
    assert done.code == 0, done.err
    got = shell("checkpoint", "download", "latest", "--json").json["destination"]
    assert ":" not in got
    merged = []
    for number, adapter in enumerate(("runs/rows", done.json["sampler_path"], got)):
        made = shell("checkpoint", "merge", adapter, str(TINY_CHAT), "-o", f"merged-{number}")
        assert made.code == 0, made.err
        merged.append(Path(f"merged-{number}/model.safetensors").read_bytes())
    assert merged[0] == merged[1] == merged[2] != (TINY_CHAT / "model.safetensors").read_bytes()


def test_models_are_evaluated_side_by_side(shell: Shell, rows: str) -> None:
    """A column for each model; every response can be written down."""
    trained = shell("train", rows, *NANO, "--steps", "8", "--learning-rate", "2e-2", "--json")
    assert trained.code == 0, trained.err
    models = ("tinkex/nano", "runs/rows")
    metrics = ("--metric", "exact", "--metric", "loglikelihood", "--max-tokens", "4")
    done = shell("evaluate", *models, rows, *metrics, "--json", "-o", "responses.jsonl")
    assert done.code == 0, done.err
    base, tuned = done.json["models"]
    assert base["scores"]["loglikelihood"]["mean"] < tuned["scores"]["loglikelihood"]["mean"]
    assert len(Path("responses.jsonl").read_text().splitlines()) == 2 * len(ROWS)
    table = shell("evaluate", *models, rows, *metrics, "--limit", "2").out.splitlines()
    assert table[0].split("\t")[:2] == ["Metric", "tinkex/nano"]
    assert table[-1].split("\t")[1:] == ["2", "2"]


def test_prompts_of_a_file_are_sampled(shell: Shell, rows: str) -> None:
    """Into a file, which a second call completes."""
    options = ("sample", "tinkex/nano", rows, "-o", "out/responses.jsonl", "--max-tokens", "2")
    done = shell(*options, "--json")
    assert done.code == 0, done.err
    assert done.json["sampled"] == len(ROWS)
    assert "0 responses sampled" in shell(*options).out


def test_a_dry_run_estimates_time_and_cost(shell: Shell, rows: str) -> None:
    """From the speed of an earlier run of the same model and method, and from prices."""
    more = ("--dry-run", "--price", "2", "--json")
    before = shell("train", rows, *SHORT, *more).json["estimate"]
    assert (before["seconds"], before["tokens_per_second"]) == (None, None)
    assert before["cost"] == pytest.approx(before["trained_tokens"] * 2e-6)
    assert shell("train", rows, *SHORT, "--steps", "4").code == 0
    after = shell("train", rows, *SHORT, *more).json["estimate"]
    assert after["seconds"] == pytest.approx(after["trained_tokens"] / after["tokens_per_second"])
    options = ("--method", "grpo", "--reward", "exact", "--sample-price", "1", *more)
    sampled = shell("train", rows, *SHORT, *options, "--max-tokens", "10").json["estimate"]
    assert sampled["sampled_tokens"] == 6 * 8 * 10
