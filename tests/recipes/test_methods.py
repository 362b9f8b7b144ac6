"""What each training method does to a model, and that an interrupted run ends like any other."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from support.extent import ALL
from support.methods import PAIRS, ROWS, begins_even, train_by
from support.nano import NANO, nano_service
from support.stored_weights import assert_same_weights, stored_weights

from tinkex import ModelInput, SamplingParams, ServiceClient, recipes
from tinkex.errors import CheckpointError, TinkexError, ValidationError
from tinkex.local import LocalServer
from tinkex.recipes.folder import Plan, summary
from tinkex.recipes.on_policy import Journal, Scored
from tinkex.recipes.rewards import weighted
from tinkex.recovery import read_run

__all__ = ["nano_service"]

DATA = Path(__file__).resolve().parents[2] / "examples/data"
METHODS = ["sft", "dpo", "grpo", "distill", "distill by reward", "distill from samples"]


@pytest.mark.parametrize("method", METHODS)
def test_a_run_that_is_killed_after_any_step_ends_in_the_same_weights(
    method: str, tmp_path: Path
) -> None:
    """To the last bit: as an undisturbed run on the same samples, where the method samples."""
    killed_after = random.Random(method).randrange(1, 8)
    with (
        LocalServer(data_dir=tmp_path / "data") as server,
        ServiceClient(base_url=server.base_url) as service,
    ):
        rough = tmp_path / "rough"
        program = Path(__file__).with_name("killed_run.py")
        tests = str(program.parents[1])
        ended = subprocess.run(
            [sys.executable, str(program), server.base_url, method, str(rough), str(killed_after)],
            env={**os.environ, "PYTHONPATH": tests},
            capture_output=True,
            text=True,
            check=False,
        )
        assert ended.returncode == -9, ended.stderr
        resumed = train_by(method, service, rough)
        calm = tmp_path / "calm"
        if (rough / "rollouts.jsonl").exists():
            # Servers do not sample the same twice to the last bit.
            calm.mkdir()
            shutil.copy(rough / "rollouts.jsonl", calm)
        undisturbed = train_by(method, service, calm)
    assert (resumed.steps, undisturbed.steps) == (8, 8)
    records = [read_run(folder) for folder in (rough, calm)]
    found = [stored_weights(tmp_path / "data", one.checkpoints[-1].path) for one in records if one]
    assert_same_weights(*found)


def test_dpo_raises_the_margin_of_held_out_pairs(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """From nothing: the weights at the start prefer neither more than they themselves do."""
    outcome = train_by("dpo", nano_service, tmp_path, learning_rate=1e-2)
    before, after = outcome.measured_before, outcome.measured
    assert before["held_out_loss"] == pytest.approx(math.log(2), abs=1e-3)
    assert before["held_out_margin"] == pytest.approx(0, abs=1e-2)
    assert after["held_out_margin"] > 0.5
    assert after["held_out_accuracy"] == 1
    assert not outcome.failures


def test_the_gradient_of_dpo_is_that_of_its_loss(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """By finite differences of the log probabilities."""
    file = recipes.read_examples(PAIRS, form="pairs")
    recipe = recipes.DpoRecipe(base_model=NANO, held_out=0.0, batch_size=3, beta=0.3)
    training = nano_service.create_lora_training_client(NANO, rank=2, seed=0)
    prepared = recipes.prepare(recipe, file, training.get_tokenizer())
    method = recipes.Dpo(prepared, recipe, tmp_path, lambda: training)
    pairs = prepared.batches[0]
    loss = method._loss(pairs, len(pairs))
    chance = random.Random(0)
    logprobs = [
        [chance.uniform(-3, 0) for _ in side.tokens[1:]]
        for pair in pairs
        for side in (pair.chosen, pair.rejected)
    ]
    _, _, gradients = loss([], logprobs)
    for place in range(len(logprobs)):
        for sign in (1, -1):
            moved = [list(row) for row in logprobs]
            moved[place][-1] += sign * 1e-4
            if sign == 1:
                above = loss([], moved)[0]
            else:
                below = loss([], moved)[0]
        assert gradients[place][-1] == pytest.approx((above - below) / 2e-4, rel=1e-3)


def test_grpo_raises_the_reward_on_held_out_prompts(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """What half of the responses do at first nearly all do in the end."""
    rows = [{"prompt": f"{n} is"} for n in range(40)]
    outcome = recipes.grpo(
        rows,
        begins_even,
        base_model=NANO,
        rank=8,
        steps=24,
        batch_size=8,
        learning_rate=1e-2,
        held_out=0.5,
        max_tokens=1,
        folder=tmp_path,
        service=nano_service,
    )
    assert outcome.measured_before["held_out_reward"] < 0.65
    # 1.0 in most runs, 0.85 in one of 60: where the advantages of a group cancel, Adam makes whole steps of rounding
    # errors, and those depend on which samples share a batch.
    assert outcome.measured["held_out_reward"] > 0.7
    samples = [json.loads(line) for line in (tmp_path / "rollouts.jsonl").read_text().splitlines()]
    assert [one["step"] for one in samples] == list(range(1, 25))
    assert {"line", "text", "reward", "rewards"} == samples[0]["samples"][0].keys()
    assert outcome.best is not None


@pytest.mark.parametrize("loss_fn", ["ppo", "cispo", "stable_reinforce"])
def test_grpo_has_other_losses(loss_fn: str, nano_service: ServiceClient, tmp_path: Path) -> None:
    """Each of which the server takes; with the newest weights as with those of one step before."""
    for steps in (0, 1):
        outcome = train_by(
            "grpo",
            nano_service,
            tmp_path / str(steps),
            loss_fn=loss_fn,
            off_policy_steps=steps,
            steps=3,
            group_size=4,
        )
        assert outcome.finished


def test_an_episode_of_several_turns_uses_a_tool(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """What the environment says after a response is read before the next one, and not learned."""
    seen: list[int] = []

    def respond(episode: recipes.Episode) -> list[dict[str, Any]] | None:
        return None if len(episode.turns) == 2 else [{"role": "user", "content": "Again."}]

    def turns(episode: recipes.Episode) -> float:
        seen.append(len(episode.turns))
        assert [one["role"] for one in episode.messages[:3]] == ["user", "assistant", "user"]
        first, second = episode.turns[:2]
        assert list(second.prompt[: len(first.prompt)]) == list(first.prompt)
        return random.Random(len(seen)).random()

    rows = [{"messages": [{"role": "user", "content": f"Say {n}."}]} for n in range(4)]
    outcome = recipes.grpo(
        rows,
        turns,
        respond=respond,
        max_turns=3,
        base_model=NANO,
        rank=2,
        steps=1,
        batch_size=2,
        group_size=2,
        max_tokens=3,
        folder=tmp_path,
        service=nano_service,
    )
    assert outcome.finished
    assert seen == [2] * 4


def test_distillation_lowers_the_divergence_from_the_teacher(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """On the teacher's samples, and on the student's own: towards the teacher's distribution, and by reward."""
    rows = [{"prompt": f"{n} is"} for n in range(80)]
    settings: dict[str, Any] = {
        "base_model": NANO,
        "rank": 8,
        "batch_size": 8,
        "max_tokens": 1,
        "service": nano_service,
    }
    teacher = recipes.grpo(
        rows, begins_even, steps=6, learning_rate=1e-2, folder=tmp_path / "teacher", **settings
    )
    kinds: list[dict[str, Any]] = [
        {"on_policy": False, "learning_rate": 1e-2},
        # The model that is fast hardly prefers one token over another: few are no distribution. All samples of
        # a prompt have the same one at their only token.
        {"teacher_share": 0.0, "top_k": 512, "group_size": 1, "learning_rate": 1e-2},
        {"loss_fn": "importance_sampling"},
    ]
    for kind in kinds:
        outcome = recipes.distill(
            rows,
            str(teacher.sampler_path),
            folder=tmp_path / next(iter(kind)),
            **{
                "group_size": 16 if ALL else 8,
                "steps": 16,
                "learning_rate": 5e-3,
                "held_out": 0.75,
                **settings,
                **kind,
            },
        )
        before, after = outcome.measured_before["held_out_kl"], outcome.measured["held_out_kl"]
        # 0.75 at most with 17 seeds: the divergence is measured with a token of each prompt.
        assert after < 0.8 * before, (kind, before, after)


def test_evaluation_agrees_with_a_plain_loop(nano_service: ServiceClient) -> None:
    """Shares of right answers, and the mean log probability of a token of the reference answers."""
    rows = [{"prompt": f"{n} is", "completion": f" {n}"} for n in range(5)]
    sampler = nano_service.create_sampling_client(base_model=NANO)
    tokenizer = sampler.get_tokenizer()
    even, likelihoods = [], []
    for row in rows:
        prompt = tokenizer.encode(row["prompt"])
        params = SamplingParams(max_tokens=4, temperature=0)
        [sequence] = sampler.sample(ModelInput.from_ints(prompt), 1, params).result().sequences
        even.append(float(sequence.tokens[0] % 2 == 0))
        answer = [
            *tokenizer.encode(row["completion"], add_special_tokens=False),
            tokenizer.eos_token_id,
        ]
        whole = ModelInput.from_ints([*prompt, *answer])
        values = sampler.compute_logprobs(whole).result()[len(prompt) :]
        likelihoods.append(sum(float(value or 0) for value in values) / len(answer))
    [found] = recipes.evaluate(
        nano_service, NANO, rows, ["exact", begins_even, "loglikelihood"], max_tokens=4
    )
    assert found["begins_even"] == sum(even) / 5
    assert found["exact"] == 0
    assert found["loglikelihood"] == pytest.approx(sum(likelihoods) / 5, rel=1e-5)
    assert found.count == 5


def test_responses_are_sampled_once(nano_service: ServiceClient, tmp_path: Path) -> None:
    """What an interrupted call wrote is kept, but for a line that was cut short."""
    output = tmp_path / "responses.jsonl"

    def sample() -> int:
        return recipes.sample_file(nano_service, NANO, ROWS, output, max_tokens=3, num_samples=2)

    assert sample() == 16
    lines = output.read_bytes().splitlines(keepends=True)
    output.write_bytes(b"".join(lines[:5]) + lines[5][:10])
    assert sample() == 12
    found = [json.loads(line) for line in output.read_text().splitlines()]
    assert sorted((one["line"], one["sample"]) for one in found) == [
        (line, sample) for line in range(1, 9) for sample in range(2)
    ]
    assert found[0]["answer"] == "red"
    assert sample() == 0
    output.write_text('{"a": 1}\n')
    with pytest.raises(ValidationError, match="holds something else"):
        sample()


def test_the_best_weights_are_kept_and_a_run_stops_early(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """After as many validations without improvement as were asked for; others are deleted."""
    outcome = train_by(
        "sft", nano_service, tmp_path, steps=40, measure_every=1, patience=2, learning_rate=0.1
    )
    assert outcome.stopped_early
    assert outcome.finished
    assert outcome.best is not None
    assert outcome.steps == outcome.best["step"] + 2
    checkpoints = nano_service.create_rest_client().list_checkpoints(outcome.model_id).checkpoints
    names = {one.checkpoint_id for one in checkpoints}
    best = {name for name in names if "/best-" in name}
    assert best == {
        f"{kind}/best-{outcome.best['step']:07d}" for kind in ("weights", "sampler_weights")
    }
    again = train_by(
        "sft", nano_service, tmp_path, steps=40, measure_every=1, patience=2, learning_rate=0.1
    )
    assert again == outcome


def test_a_runs_folder_stands_for_its_weights(
    nano_service: ServiceClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As what to evaluate, to sample, to learn from and to train on; what names no run is a path or a model."""
    monkeypatch.chdir(tmp_path)
    settings: dict[str, Any] = {"steps": 2, "measure_every": 1}
    first = train_by("sft", nano_service, Path("runs/first"), **settings)
    assert first.best is not None
    assert recipes.checkpoint_path("runs/first") == first.sampler_path
    assert recipes.checkpoint_path("latest", "training") == first.state_path
    assert recipes.checkpoint_path("latest@best") == first.best["sampler_path"]
    for other in (NANO, "runs/none", "runs", str(first.sampler_path), "runs/first@worst"):
        assert recipes.checkpoint_path(other) == other
    [scores] = recipes.evaluate(nano_service, "latest", ROWS[:1], "exact", max_tokens=1)
    assert scores.model == "latest"
    recipes.sample_file(nano_service, "runs/first", ROWS[:1], "out.jsonl", max_tokens=1)
    more: dict[str, Any] = {**settings, "rank": 2, "batch_size": 2, "service": nano_service}
    taught = recipes.distill(
        ROWS, "latest", base_model=NANO, max_tokens=1, folder="runs/taught", **more
    )
    assert taught.finished
    # What is latest when the run continues is another one.
    written = Plan.read(Path("runs/taught")).recipe
    assert isinstance(written, recipes.DistillRecipe)
    assert written.teacher == first.sampler_path
    further = recipes.sft(ROWS, from_checkpoint="runs/first", folder="runs/further", **more)
    assert further.finished
    stopped = train_by("sft", nano_service, Path("runs/stopped"), stop=lambda: True)
    assert not stopped.finished
    assert "/weights/" in recipes.checkpoint_path("runs/stopped", "any")
    with pytest.raises(CheckpointError, match="has no weights to sample from yet; continue it"):
        recipes.checkpoint_path("runs/stopped")
    monkeypatch.chdir(tmp_path / "runs")
    with pytest.raises(CheckpointError, match="there is no run in runs"):
        recipes.checkpoint_path("latest")


def test_a_run_has_a_state_that_its_folder_shows(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """Running while a process trains; then stopped, failed or finished."""
    states = []

    class Fails(recipes.Listener):
        def reported(self, report: recipes.StepReport) -> None:
            states.append(summary(tmp_path).state)
            if report.step == 6:
                raise TinkexError("the server is on fire")

    stopped = train_by("sft", nano_service, tmp_path, stop=lambda: True)
    assert not stopped.finished
    assert summary(tmp_path).state == "stopped"
    with pytest.raises(TinkexError, match="on fire"):
        train_by("sft", nano_service, tmp_path, listener=Fails())
    assert set(states) == {"running"}
    assert summary(tmp_path).state == "failed"
    assert train_by("sft", nano_service, tmp_path).finished
    assert summary(tmp_path).state == "finished"


def test_epochs_may_be_a_fraction(nano_service: ServiceClient, tmp_path: Path) -> None:
    """Of six examples in batches of two, one and two thirds are five steps."""
    outcome = train_by(
        "sft", nano_service, tmp_path, steps=None, epochs=5 / 3, batch_size=2, held_out=0.25
    )
    assert outcome.last is not None
    assert (outcome.steps, outcome.last.epoch) == (5, pytest.approx(5 / 3))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"beta": 0}, "beta: must be a number above 0"),
        ({"epochs": 0}, "epochs: must be a number above 0"),
        ({"colour": 1}, "there is no setting 'colour' of dpo"),
        ({"patience": 0}, "patience: must be an integer"),
    ],
)
def test_a_setting_that_cannot_be_right_is_refused(wrong: dict[str, Any], said: str) -> None:
    """Before anything is sent; there is no server here."""
    with pytest.raises(ValidationError, match=said):
        recipes.dpo(PAIRS, base_model=NANO, **wrong)


def test_rewards_have_names_and_weights() -> None:
    """They come by name, as functions, or as both with weights."""
    prompt = recipes.Prompt(1, None, "2+2=", "4", {})
    episode = recipes.Episode(prompt, [], [], text='{"a": 1.0}')
    assert [one.name for one in weighted(["exact", begins_even])] == ["exact", "begins_even"]
    [named] = weighted("support.methods:begins_even")
    assert named.function is begins_even
    for answer, name, value in (
        ('{"a": 1}', "json", 1),
        ('{"a": 1}', "exact", 0),
        ("1", "contains", 1),
        (r"\d\.\d", "regex", 1),
    ):
        asked = recipes.Episode(recipes.Prompt(1, None, "", answer, {}), [], [], episode.text)
        assert weighted(name)[0].function(asked) == value
    for wrong in ("none", "support.methods:none", [], ["exact", "exact"], {"exact": math.nan}):
        with pytest.raises(ValidationError):
            weighted(wrong)


def test_a_journal_drops_what_a_crash_cut_short(tmp_path: Path) -> None:
    """The batches before it are whole; the step is sampled again."""
    file = tmp_path / "rollouts.jsonl"
    journal = Journal(file)
    journal.write(1, Scored([], [], [{"text": "a"}], {"reward": 0.1}))
    journal.write(2, Scored([], [], [], {}))
    file.write_bytes(file.read_bytes()[:-5])
    again = Journal(file)
    assert (1 in again, 2 in again) == (True, False)
    assert again.read(1).metrics == {"reward": 0.1}
    again.write(2, Scored([], [], [], {"reward": 0.5}))
    assert Journal(file).read(2).metrics == {"reward": 0.5}


def test_a_plan_of_each_method_can_be_read_again(tmp_path: Path) -> None:
    """With the settings that only this method has."""
    for recipe in (
        recipes.DpoRecipe(base_model=NANO, beta=0.2),
        recipes.GrpoRecipe(base_model=NANO, rewards={"exact": 1.0}, epochs=0.5),
        recipes.DistillRecipe(base_model=NANO, teacher=NANO),
    ):
        plan = Plan(recipe=recipe, data=recipes.Source(path="a", sha256=""))
        plan.write(tmp_path)
        assert Plan.read(tmp_path) == plan


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_reward_that_can_be_checked_is_raised_without_hacking_it(tmp_path: Path) -> None:
    """From below 0.3 to above 0.8 on questions that were not trained on, which are then answered.

    In the short form to above 0.4, in a few larger steps.
    """
    settings: dict[str, Any] = {
        "steps": 16,
        "batch_size": 12,
        "learning_rate": 3e-3,
        "held_out": 0.15,
        # No answer has more tokens than half of this.
        "max_tokens": 12,
    }
    if not ALL:
        settings = {
            "steps": 6,
            "batch_size": 8,
            "group_size": 6,
            "learning_rate": 5e-3,
            "held_out": 0.1,
            "max_tokens": 12,
        }
    asked, least = (40, 0.8) if ALL else (20, 0.4)
    with (
        LocalServer(data_dir=tmp_path / "data") as server,
        ServiceClient(base_url=server.base_url) as service,
    ):
        outcome = recipes.grpo(
            DATA / "questions.jsonl",
            "exact",
            base_model="tinkex/tiny-chat",
            rank=16,
            measure_every=24,
            folder=tmp_path / "run",
            service=service,
            **settings,
        )
        rows = [json.loads(line) for line in (DATA / "questions.jsonl").read_text().splitlines()]
        [greedy] = recipes.evaluate(
            service, str(outcome.sampler_path), rows[-asked:], "exact", max_tokens=24
        )
    assert outcome.measured_before["held_out_reward"] < 0.3
    assert outcome.measured["held_out_reward"] > least
    # Only the right word, alone, has a reward: a response cannot have it in another way.
    assert greedy["exact"] > least


def test_a_student_that_never_says_what_its_teacher_says_learns_it(
    nano_service: ServiceClient, tmp_path: Path
) -> None:
    """By the defaults, from a teacher whose tokens it would not sample; by reward alone it learns nothing."""
    rows = [{"prompt": f"{n} is"} for n in range(40)]
    settings: dict[str, Any] = {
        "base_model": NANO,
        "rank": 8,
        "batch_size": 4,
        "learning_rate": 2e-2,
        "service": nano_service,
    }
    taught = [{**row, "completion": " 77 77"} for row in rows]
    teacher = recipes.sft(taught, steps=12, folder=tmp_path / "teacher", **settings)

    def divergence(**more: Any) -> tuple[float, float]:
        outcome = recipes.distill(
            rows,
            str(teacher.sampler_path),
            steps=8,
            held_out=0.5,
            max_tokens=4,
            folder=tmp_path / str(len(more)),
            **more,
            **settings,
        )
        return outcome.measured_before["held_out_kl"], outcome.measured["held_out_kl"]

    before, after = divergence()
    assert before > 3
    assert after < 0.2 * before
    assert divergence(loss_fn="importance_sampling")[1] > 0.5 * before


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_fresh_adapter_comes_within_a_tenth_of_a_nat_of_its_teacher(tmp_path: Path) -> None:
    """On prompts that it was not trained on; in the short form much nearer than it began."""
    steps, batch_size, held_out = (16, 16, 0.15) if ALL else (10, 8, 0.05)
    student: dict[str, Any] = {"steps": 24, "measure_every": 24}
    if not ALL:
        rate = {"learning_rate": 5e-3, "schedule_kind": "constant"}
        student = {"on_policy": False, "steps": 10, **rate}
    with (
        LocalServer(data_dir=tmp_path / "data") as server,
        ServiceClient(base_url=server.base_url) as service,
    ):
        settings: dict[str, Any] = {
            "base_model": "tinkex/tiny-chat",
            "rank": 8,
            "batch_size": batch_size,
            "service": service,
        }
        teacher = recipes.sft(
            DATA / "tickets.jsonl", steps=steps, folder=tmp_path / "teacher", **settings
        )
        outcome = recipes.distill(
            DATA / "tickets.jsonl",
            str(teacher.sampler_path),
            held_out=held_out,
            **student,
            max_tokens=16,
            folder=tmp_path / "student",
            **settings,
        )
    assert outcome.measured_before["held_out_kl"] > 1
    assert outcome.measured["held_out_kl"] < (0.1 if ALL else 0.4)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_preferences_of_a_file_are_learned(tmp_path: Path) -> None:
    """The preferred form becomes what the model says, also of what it was not trained on."""
    with (
        LocalServer(data_dir=tmp_path / "data") as server,
        ServiceClient(base_url=server.base_url) as service,
    ):
        outcome = recipes.dpo(
            DATA / "preferences.jsonl",
            base_model="tinkex/tiny-chat",
            rank=16,
            steps=20 if ALL else 8,
            batch_size=12,
            learning_rate=5e-4 if ALL else 1e-3,
            held_out=0.4,
            samples=("What is the opposite of hot?",),
            folder=tmp_path / "run",
            service=service,
        )
    assert outcome.measured["held_out_margin"] > 2
    assert outcome.measured["held_out_accuracy"] > 0.9
    assert outcome.samples[0].after == "The opposite of hot is cold."
