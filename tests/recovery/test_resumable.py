"""A resumable run goes on at the right step, whatever ends it."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from attrs import evolve
from support.clock import FakeClock
from support.stored_weights import assert_same_weights, stored_weights
from support.training import ADAM, NANO_RUN, batch, train

from tinkex import ServiceClient, errors
from tinkex.local import LocalServer, Options
from tinkex.observability.events import Event, subscribe
from tinkex.recovery import (
    RecoveryEvent,
    RecoveryPolicy,
    ResumableRun,
    RunRecord,
    Step,
    read_run,
    resumable,
)
from tinkex.recovery.runfile import write_run
from tinkex.testing import Fault

QUICK = RecoveryPolicy(enabled=True, max_attempts=3, backoff=1.0, max_backoff=8.0)


class Crash(Exception):
    """End a program as a crash does, as far as a `with` block can see it."""


def run_of(folder: Path, service: ServiceClient, **more: Any) -> ResumableRun:
    settings = {**NANO_RUN, "checkpoint_every": 4, "policy": QUICK, "clock": FakeClock(), **more}
    return resumable(folder / "run", service, **settings)


Work = Callable[[ResumableRun, Step], object]


def go(
    run: ResumableRun, total: int, crash_at: int | None = None, first: Work | None = None
) -> list[int]:
    """Go through a run, and return the steps that were trained, in order."""
    trained = []
    for step in run.steps(total):
        with step:
            if first is not None:
                first(run, step)
            train(run.training, step)
            trained.append(int(step))
            if step == crash_at:
                raise Crash
    return trained


@functools.cache
def undisturbed(steps: int) -> dict[str, np.ndarray]:
    """Return the weights of a run of so many steps that nothing happens to."""
    with (
        LocalServer() as server,
        ServiceClient(base_url=server.base_url) as service,
    ):
        settings = {key: value for key, value in NANO_RUN.items() if key != "base_model"}
        training = service.create_lora_training_client(NANO_RUN["base_model"], **settings)
        for step in range(steps):
            train(training, step)
        path = training.save_state("end").result().path
        return stored_weights(server.data_dir, str(path))


def restarted(server: LocalServer) -> LocalServer:
    """Stop a server and return another one on its folder and port, which knows no model."""
    port, folder = int(server.base_url.rpartition(":")[2]), server.data_dir
    server.stop()
    return LocalServer(data_dir=folder, port=port).start()


def test_a_run_that_crashed_continues_after_its_last_checkpoint(
    tmp_path: Path, service: ServiceClient, data: Path
) -> None:
    """Steps after the checkpoint are trained again, the others are not, and the weights are the same."""
    with pytest.raises(Crash), run_of(tmp_path, service) as run:
        go(run, 10, crash_at=6)
    with run_of(tmp_path, service) as run:
        assert run.resumed_from == 4
        assert go(run, 10) == [4, 5, 6, 7, 8, 9]
        last = run.checkpoints[-1]
    assert last.step == 10
    assert_same_weights(stored_weights(data, last.path), undisturbed(10))


def test_a_run_that_crashed_before_its_first_checkpoint_begins_again(
    tmp_path: Path, service: ServiceClient
) -> None:
    """The seed that was drawn for it is kept, so it begins with the same adapter."""
    with pytest.raises(Crash), run_of(tmp_path, service, seed=None) as run:
        go(run, 3, crash_at=1)
    seed = run.seed
    with run_of(tmp_path, service, seed=None) as run:
        assert run.resumed_from is None
        assert run.seed == seed
        assert go(run, 3) == [0, 1, 2]


def test_a_finished_run_has_no_steps_left_and_its_client_back(
    tmp_path: Path, service: ServiceClient
) -> None:
    """The same program, started again, can go on to what comes after the loop."""
    with run_of(tmp_path, service) as run:
        go(run, 5)
    with run_of(tmp_path, service) as run:
        assert go(run, 5) == []
        assert run.training.save_weights_for_sampler("final").result().path
        assert go(run, 6) == [5]


@pytest.mark.holds("F45")
def test_a_model_that_is_lost_in_a_step_is_brought_back_in_the_loop(
    tmp_path: Path, server: LocalServer, service: ServiceClient, data: Path
) -> None:
    """A server that is restarted forgets its models; the loop goes back to the last checkpoint."""
    heard: list[Event] = []
    trained = []
    with subscribe(heard.append, RecoveryEvent), run_of(tmp_path, service) as run:
        training = run.training
        lost = training.model_id
        for step in run.steps(10):
            with step:
                if step == 6 and server.base_url and training.model_id == lost:
                    server = restarted(server)
                train(training, step)
                trained.append(int(step))
        last = run.checkpoints[-1]
    server.stop()
    assert trained == [0, 1, 2, 3, 4, 5, 4, 5, 6, 7, 8, 9]
    assert training is run.training
    assert training.model_id != lost
    assert [event.name.rpartition(".")[2] for event in heard] == [
        "detected",
        "started",
        "checkpoint_selected",
        "client_created",
        "completed",
    ]
    assert_same_weights(stored_weights(data, last.path), undisturbed(10))


def test_a_model_that_is_lost_while_it_is_saved_is_brought_back(
    tmp_path: Path, server: LocalServer, service: ServiceClient
) -> None:
    """Between two steps the loop goes back as well, and needs no with block for it."""
    trained = []
    with run_of(tmp_path, service) as run:
        for step in run.steps(6):
            train(run.training, step)
            trained.append(int(step))
            if len(trained) == 4:
                server = restarted(server)
    server.stop()
    assert trained == [0, 1, 2, 3, 0, 1, 2, 3, 4, 5]


def test_state_and_metrics_are_those_of_the_checkpoint(
    tmp_path: Path, service: ServiceClient
) -> None:
    """What the steps after it have changed is gone with them, in the dict that the program holds."""

    def note(run: ResumableRun, step: Step) -> None:
        state["cursor"] = 100 * (step + 1)
        state["rng"] = np.random.default_rng(step).bit_generator.state
        run.record(loss=np.float32(1 / (step + 1)))

    with run_of(tmp_path, service) as run:
        state = run.state
        with pytest.raises(Crash):
            go(run, 10, crash_at=5, first=note)
    with run_of(tmp_path, service) as run:
        assert run.state["cursor"] == 400
        rng = np.random.default_rng()
        rng.bit_generator.state = run.state["rng"]
        assert rng.random() == np.random.default_rng(3).random()
        assert run.checkpoints[-1].metrics == {"loss": 0.25}
    kept = service.create_rest_client().list_checkpoints(run.checkpoints[-1].path.split("/")[2])
    assert kept.checkpoints[0].user_metadata == {"step": "4", "loss": "0.25"}


def test_a_steps_random_numbers_depend_on_seed_and_step_alone(
    tmp_path: Path, service: ServiceClient
) -> None:
    """Drawn again for the same step they are the same, for another they are not."""
    with run_of(tmp_path, service) as run:
        first, second = (step.rng.integers(1000, size=4).tolist() for step in run.steps(2))
        assert first != second
    with run_of(tmp_path / "again", service) as run:
        assert next(run.steps(2)).rng.integers(1000, size=4).tolist() == first


def test_only_the_last_checkpoints_are_kept(tmp_path: Path, service: ServiceClient) -> None:
    """Older ones are deleted on the server once a newer one is written down, and all expire."""
    with run_of(tmp_path, service, checkpoint_every=1, keep_last=2, ttl=timedelta(days=1)) as run:
        go(run, 5)
    rest = service.create_rest_client()
    there = rest.list_checkpoints(run.training.model_id).checkpoints
    assert {one.tinker_path for one in there} == {one.path for one in run.checkpoints}
    assert [one.step for one in run.checkpoints] == [4, 5]
    assert all(one.expires_at is not None for one in there)


def test_a_checkpoint_that_is_gone_gives_way_to_the_one_before_it(
    tmp_path: Path, service: ServiceClient, data: Path
) -> None:
    """The run goes further back, and ends in the same weights."""
    with run_of(tmp_path, service) as run:
        go(run, 8)
    service.create_rest_client().delete_checkpoint(run.checkpoints[-1].path)
    with run_of(tmp_path, service) as run:
        assert run.resumed_from == 4
        assert go(run, 10) == [4, 5, 6, 7, 8, 9]
        last = run.checkpoints[-1]
        assert [one.step for one in run.checkpoints] == [8, 10]
        # The one at step 8 was made again, as every fourth step is saved.
        assert run.checkpoints[0].path.split("/")[2] == run.training.model_id
    assert_same_weights(stored_weights(data, last.path), undisturbed(10))


def test_a_run_whose_checkpoints_have_expired_says_so(tmp_path: Path) -> None:
    """It does not begin anew by itself; the error names checkpoint, time and a way on."""
    now = 1_800_000_000.0
    with (
        LocalServer(options=Options(now=lambda: now)) as server,
        ServiceClient(base_url=server.base_url) as service,
    ):
        with run_of(tmp_path, service, ttl=3600) as run:
            go(run, 5)
        now += 3600
        with (
            pytest.raises(errors.CheckpointError, match="none of the checkpoints") as caught,
            run_of(tmp_path, service),
        ):
            pass
    assert run.checkpoints[-1].path in str(caught.value)
    assert "after 5 steps; it was kept until" in str(caught.value)


def test_a_run_that_is_lost_with_its_checkpoints_is_given_up(
    tmp_path: Path, server: LocalServer, service: ServiceClient
) -> None:
    """There is nothing to go back to, so it is not tried again, and that is told."""
    heard: list[Event] = []
    failures: list[Any] = []
    policy = evolve(QUICK, on_failure=lambda *said: failures.append(said))

    def lose(run: ResumableRun, step: Step) -> None:
        if step == 5:
            service.create_rest_client().delete_checkpoint(run.checkpoints[-1].path)
            server.faults.add(Fault(on="*", nth=1, status=410, body={"detail": "it is gone"}))

    with (
        subscribe(heard.append, RecoveryEvent),
        run_of(tmp_path, service, policy=policy) as run,
        pytest.raises(errors.CheckpointError) as caught,
    ):
        go(run, 8, first=lose)
    assert [event.name.rpartition(".")[2] for event in heard] == [
        "detected",
        "started",
        "failed",
        "exhausted",
    ]
    assert failures == [(run.training.model_id, caught.value)]


def test_the_model_that_was_lost_is_unloaded_if_it_is_there(
    tmp_path: Path, server: LocalServer, service: ServiceClient
) -> None:
    """A job that fails on the server's side leaves a model in its memory, which nobody needs."""

    def break_down(run: ResumableRun, step: Step) -> None:
        if step == 5 and not server.faults.played:
            failed = {"error": "no memory left", "category": "server"}
            server.faults.add(Fault(on="retrieve_future", status=200, body=failed))

    with run_of(tmp_path, service) as run:
        lost = run.training.model_id
        go(run, 8, first=break_down)
    assert run.training.model_id != lost
    assert [model.model_id for model in server._app_state.models.all()] == [run.training.model_id]  # type: ignore[union-attr]


def test_two_processes_cannot_train_in_one_folder(tmp_path: Path, service: ServiceClient) -> None:
    """The second is told so, and the first goes on."""
    with run_of(tmp_path, service) as run:
        with pytest.raises(errors.CheckpointError, match="another process trains in"):
            run_of(tmp_path, service).__enter__()
        assert go(run, 1) == [0]


def test_a_run_is_not_taken_up_with_other_settings(tmp_path: Path, service: ServiceClient) -> None:
    """The error shows what differs; a seed or model that is not named may be anything."""
    with run_of(tmp_path, service) as run:
        go(run, 1)
    with (
        pytest.raises(errors.ValidationError, match=r"rank +8 +4") as caught,
        run_of(tmp_path, service, rank=8),
    ):
        pass
    assert caught.value.path == "rank"
    with run_of(tmp_path, service, seed=None, base_model=None) as run:
        assert run.resumed_from == 1


def test_a_mistake_of_the_caller_is_raised_at_once(tmp_path: Path, service: ServiceClient) -> None:
    """Going back would not mend it."""
    steps: list[int] = []

    def err(run: ResumableRun, step: Step) -> None:
        steps.append(step)
        run.training.forward_backward([], "cross_entropy")

    with run_of(tmp_path, service) as run, pytest.raises(errors.ValidationError):
        go(run, 3, first=err)
    assert steps == [0]


def test_another_objects_404_is_raised_at_once(tmp_path: Path, service: ServiceClient) -> None:
    """The model is asked for, and is there, so there is nothing to go back for."""
    heard: list[Event] = []
    rest = service.create_rest_client()
    with (
        subscribe(heard.append, RecoveryEvent),
        run_of(tmp_path, service) as run,
        pytest.raises(errors.NotFoundError),
    ):
        go(run, 3, first=lambda run, step: rest.get_training_run("no-such-run"))
    assert heard == []


@pytest.mark.holds("F45")
def test_a_step_that_fails_again_and_again_is_given_up(
    tmp_path: Path, server: LocalServer, service: ServiceClient
) -> None:
    """As often as the policy says, with its waits; then the error comes through, with a note."""
    clock = FakeClock()
    failures: list[Any] = []
    heard: list[Event] = []
    policy = RecoveryPolicy(
        enabled=True, max_attempts=3, backoff=1.0, on_failure=lambda *said: failures.append(said)
    )

    def break_down(run: ResumableRun, step: Step) -> None:
        if step == 5:
            failed = {"error": "no memory left", "category": "server"}
            server.faults.add(Fault(on="retrieve_future", status=200, body=failed))

    with (
        subscribe(heard.append, RecoveryEvent),
        run_of(tmp_path, service, policy=policy, clock=clock) as run,
        pytest.raises(errors.RequestFailedError) as caught,
    ):
        go(run, 10, first=break_down)
    assert clock.slept == [0.0, 1.0, 2.0]
    assert failures == [(run.training.model_id, caught.value)]
    assert "3 attempts to restore it failed" in caught.value.__notes__[0]
    assert heard[-1].name == "tinkex.recovery.exhausted"
    with run_of(tmp_path, service) as run:
        server.faults.clear()
        assert go(run, 6) == [4, 5]


def test_a_failure_that_no_caller_looked_at_is_not_written_down_as_done(
    tmp_path: Path, server: LocalServer, service: ServiceClient, data: Path
) -> None:
    """A program that submits and never waits still trains each batch once."""
    heard: list[Event] = []
    failed = {"error": "no memory left", "category": "server"}
    server.faults.add(Fault(on="retrieve_future", nth=4, status=200, body=failed))
    trained = []
    with subscribe(heard.append, RecoveryEvent), run_of(tmp_path, service) as run:
        for step in run.steps(6):
            with step:
                run.training.train_step(batch(step), "cross_entropy", ADAM)
                trained.append(int(step))
        last = run.checkpoints[-1]
    assert trained == [0, 1, 2, 3, 0, 1, 2, 3, 4, 5]
    assert "no memory left" in heard[0].fields()["reason"]  # type: ignore[operator]
    assert_same_weights(stored_weights(data, last.path), undisturbed(6))


def test_a_loop_that_was_left_in_a_step_goes_back(tmp_path: Path, service: ServiceClient) -> None:
    """Half a step is in the model, so it is neither saved nor built upon, and what it noted is gone."""
    with run_of(tmp_path, service) as run:
        for step in run.steps(10):
            train(run.training, step)
            run.state["seen" if step < 4 else "late"] = int(step)
            if step == 5:
                break
        assert next(run.steps(10)) == 4
        assert run.state == {"seen": 3}
        assert go(run, 7) == [4, 5, 6]
    assert read_run(tmp_path / "run").step == 7  # type: ignore[union-attr]


def test_a_step_of_a_loop_that_another_one_replaced_is_not_counted(
    tmp_path: Path, service: ServiceClient
) -> None:
    """The second loop goes back to the beginning; what the first one left open then is no step done."""
    with run_of(tmp_path, service, checkpoint_every=100) as run:
        first = run.steps(4)
        for step in (next(first), next(first)):
            train(run.training, step)
        assert next(first) == 2
        assert next(run.steps(4)) == 0
        assert next(first) == 0


def test_a_loop_that_ends_early_between_steps_is_saved(
    tmp_path: Path, service: ServiceClient
) -> None:
    """A step whose block has ended counts, also if the loop is left in it."""
    with run_of(tmp_path, service) as run:
        for step in run.steps(10):
            with step:
                if train(run.training, step) and step == 5:
                    break
    assert run.checkpoints[-1].step == 6
    with run_of(tmp_path, service) as run:
        assert go(run, 7) == [6]


def test_a_checkpoint_can_be_asked_for(tmp_path: Path, service: ServiceClient) -> None:
    """Within a step it is made when the step is over."""
    with run_of(tmp_path, service, checkpoint_every=100) as run:
        for step in run.steps(4):
            with step:
                train(run.training, step)
                if step == 1:
                    run.checkpoint()
                    assert run.checkpoints == ()
            if step == 2:
                assert [one.step for one in run.checkpoints] == [2]
                run.checkpoint()
    assert [one.step for one in run.checkpoints] == [3, 4]


def test_a_run_can_begin_with_another_runs_weights(tmp_path: Path, service: ServiceClient) -> None:
    """The optimizer is a fresh one, and the adapter is that of the checkpoint."""
    with run_of(tmp_path, service) as run:
        go(run, 4)
    path = run.checkpoints[-1].path
    with resumable(tmp_path / "second", service, start_from=path) as run:
        assert run.training.get_info().lora_rank == 4
        assert run.step == 0
    with resumable(tmp_path / "second", service, start_from=path) as run:
        assert run.resumed_from is None


def test_the_run_file_is_replaced_in_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If it cannot be flushed to the disk the old one stands, and nothing is left beside it."""
    before = RunRecord(settings={"rank": 4}, server="local")
    write_run(tmp_path, before)

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(errors.CheckpointError, match="No space left on device"):
        write_run(tmp_path, RunRecord(settings={"rank": 8}))
    assert [file.name for file in tmp_path.iterdir()] == ["run.json"]
    assert read_run(tmp_path) == before


def test_what_a_killed_process_left_of_the_run_file_is_removed(
    tmp_path: Path, service: ServiceClient
) -> None:
    """A draft is never read."""
    draft = tmp_path / "run" / ".run.json.0123"
    draft.parent.mkdir()
    draft.write_text('{"format": 1, "sett')
    with run_of(tmp_path, service) as run:
        assert not draft.exists()
        assert go(run, 1) == [0]


@pytest.mark.parametrize(
    "text", ["", "[]", '{"format": 2}', '{"format": 1, "settings": {}, "server": ""}']
)
def test_a_run_file_that_is_none_is_named(text: str, tmp_path: Path) -> None:
    """The error says which file, and what to do."""
    (tmp_path / "run.json").write_text(text)
    with pytest.raises(errors.CheckpointError, match=r"run\.json is not a run file"):
        read_run(tmp_path)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("checkpoint_every", 0),
        ("keep_last", 0),
        ("ttl", 0),
        ("ttl", "soon"),
        ("policy", RecoveryPolicy(checkpoint="best", metric="loss")),
        ("base_model", None),
        ("start_from", "tinker://r/sampler_weights/a"),
    ],
)
def test_an_argument_that_cannot_be_right_is_named(
    field: str, value: object, tmp_path: Path, nano_service: ServiceClient
) -> None:
    """Before anything is made or sent."""
    with (
        pytest.raises(errors.ValidationError) as caught,
        run_of(tmp_path, nano_service, **{field: value}),
    ):
        pass
    assert (caught.value.path or "").startswith(field if field != "start_from" else "path")
    assert not (tmp_path / "run" / "run.json").exists()


@pytest.mark.parametrize("state", [{"a": object()}, {"a": float("nan")}, {1: "number as a key"}])
def test_a_state_that_would_come_back_otherwise_is_refused(
    state: dict[Any, Any], tmp_path: Path, service: ServiceClient
) -> None:
    """It is said when it is saved, not found out after a crash."""
    with run_of(tmp_path, service) as run:
        run.state.update(state)
        with pytest.raises(errors.ValidationError, match=r"run\.state"):
            go(run, 4)
        run.state.clear()
