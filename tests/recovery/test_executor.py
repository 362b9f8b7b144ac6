"""Lost runs are brought back from the right checkpoint, within bounds, and told of."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from support.clock import FakeClock
from support.stored_weights import assert_same_weights, stored_weights
from support.training import NANO_RUN, train

from tinkex import ServiceClient, TrainingClient, errors
from tinkex.local import LocalServer
from tinkex.observability.events import Event, subscribe
from tinkex.recovery import Recovered, RecoveryEvent, RecoveryExecutor, RecoveryPolicy
from tinkex.testing import Fault

ON = RecoveryPolicy(enabled=True)


def policy(**fields: Any) -> RecoveryPolicy:
    return RecoveryPolicy(enabled=True, **fields)


@pytest.fixture
def heard() -> Iterator[list[Event]]:
    events: list[Event] = []
    with subscribe(events.append, RecoveryEvent):
        yield events


@pytest.fixture
def training(service: ServiceClient) -> TrainingClient:
    settings = {key: value for key, value in NANO_RUN.items() if key != "base_model"}
    return service.create_lora_training_client(NANO_RUN["base_model"], **settings)


def names(heard: list[Event]) -> list[str]:
    return [event.name.removeprefix("tinkex.recovery.") for event in heard]


def unheard_of(run_id: str) -> str:
    return f"tinker://{run_id}/weights/unheard-of"


@pytest.mark.holds("F45")
def test_a_run_continues_from_its_latest_checkpoint(
    tmp_path: Path, service: ServiceClient, data: Path, training: TrainingClient, heard: list[Event]
) -> None:
    """With its optimizer: the next step ends where it would have ended."""
    train(training, 0)
    training.save_state("first").result()
    train(training, 1)
    path = training.save_state("second").result().path
    train(training, 2)
    expected = training.save_state("third").result().path
    with RecoveryExecutor() as executor:
        recovered = executor.recover(
            training.model_id, service, ON, metadata={"team": "a"}, last_checkpoint=path
        ).result()
        assert executor.recover("other", service, policy(checkpoint=str(path))).result()
    train(recovered.training, 2)
    got = recovered.training.save_state("third").result().path
    assert_same_weights(stored_weights(data, str(got)), stored_weights(data, str(expected)))
    assert recovered == Recovered(training.model_id, recovered.training, str(path), 1, True)
    assert names(heard)[:4] == ["started", "checkpoint_selected", "client_created", "completed"]
    assert heard[3].fields() == {
        "run_id": training.model_id,
        "metadata": {"team": "a"},
        "attempt": 1,
        "strategy": "latest",
        "checkpoint": path,
        "model_id": recovered.training.model_id,
    }


def test_the_server_is_asked_for_the_latest_if_none_is_named(
    service: ServiceClient, training: TrainingClient
) -> None:
    """The run itself knows its last training checkpoint."""
    training.save_state("first").result()
    path = training.save_state("second").result().path
    training.save_weights_for_sampler("for-sampling").result()
    with RecoveryExecutor() as executor:
        assert executor.recover(training.model_id, service, ON).result().checkpoint == path


@pytest.mark.holds("F45")
@pytest.mark.parametrize(("mode", "best"), [("min", "b"), ("max", "c")])
def test_the_best_checkpoint_is_chosen_by_what_was_recorded(
    mode: str, best: str, service: ServiceClient, training: TrainingClient
) -> None:
    """By number, not by text; checkpoints without a finite one do not count."""
    for name, loss in [("a", "10.0"), ("b", "9.5"), ("c", "11"), ("d", "nan"), ("e", "low")]:
        training.save_state(name, user_metadata={"loss": loss}).result()
    training.save_state("f").result()
    wanted = policy(checkpoint="best", metric="loss", mode=mode)
    with RecoveryExecutor() as executor:
        recovered = executor.recover(training.model_id, service, wanted).result()
    assert recovered.checkpoint == f"tinker://{training.model_id}/weights/{best}"


def test_a_run_without_a_checkpoint_is_given_up_with_a_reason(
    service: ServiceClient, training: TrainingClient
) -> None:
    """For "best" the error says how a number is recorded."""
    once = {"max_attempts": 1}
    with RecoveryExecutor() as executor:
        latest = executor.recover(training.model_id, service, policy(**once))
        with pytest.raises(errors.CheckpointError, match="has no training checkpoint"):
            latest.result()
        wanted = policy(checkpoint="best", metric="loss", **once)
        with pytest.raises(errors.CheckpointError, match=r"user_metadata=\{'loss'"):
            executor.recover(training.model_id, service, wanted).result()


@pytest.mark.holds("F45")
def test_attempts_are_bounded_and_spaced_and_told(
    service: ServiceClient, training: TrainingClient, heard: list[Event]
) -> None:
    """After the last one the failure is told once, by event, callback and future."""
    clock, failures = FakeClock(), []
    path = unheard_of(training.model_id)
    wanted = policy(
        checkpoint=path,
        max_attempts=3,
        backoff=5.0,
        max_backoff=6.0,
        on_failure=lambda run_id, error: failures.append((run_id, type(error))),
    )
    began = clock.now()
    with RecoveryExecutor(clock=clock) as executor:
        outcome = executor.recover(training.model_id, service, wanted)
        clock.run_until(outcome.done, step=10)
        with pytest.raises(errors.NotFoundError):
            outcome.result()
    assert clock.now() - began == 5.0 + 6.0
    assert names(heard) == ["started", "checkpoint_selected", "failed"] * 3 + ["exhausted"]
    assert [event.fields()["attempt"] for event in heard if "failed" in event.name] == [1, 2, 3]
    assert failures == [(training.model_id, errors.NotFoundError)]


def test_a_run_that_waits_for_its_next_attempt_keeps_no_other_waiting(
    service: ServiceClient, training: TrainingClient
) -> None:
    """One attempt at a time does not mean one run at a time."""
    path = training.save_state("first").result().path
    clock = FakeClock()
    with RecoveryExecutor(max_concurrent=1, clock=clock) as executor:
        bad = executor.recover("bad", service, policy(checkpoint=unheard_of("bad")))
        good = executor.recover("good", service, policy(checkpoint=str(path)))
        assert good.result(timeout=60).training.model_id
        assert not bad.done()
        assert executor.pending == ("bad",)
    with pytest.raises(errors.ClientClosedError):
        bad.result()


def test_no_more_runs_than_allowed_are_brought_back_at_a_time(
    service: ServiceClient, training: TrainingClient
) -> None:
    """The others wait for their turn, and a run is not taken twice."""
    path = str(training.save_state("first").result().path)
    lock, both, now, most = threading.Lock(), threading.Event(), 0, 0

    def count(event: Event) -> None:
        nonlocal now, most
        with lock:
            if event.name.endswith("started"):
                now += 1
                most = max(most, now)
                if now == 2:
                    both.set()
            elif event.name.endswith("completed"):
                now -= 1
                return
        if event.name.endswith("started"):
            both.wait(30)

    with subscribe(count, RecoveryEvent), RecoveryExecutor(max_concurrent=2) as executor:
        outcomes = [executor.recover(name, service, policy(checkpoint=path)) for name in "abcda"]
        assert outcomes[0] is outcomes[4]
        assert len({outcome.result(60).training.model_id for outcome in outcomes}) == 4
    assert most == 2


@pytest.mark.holds("F45")
def test_callbacks_are_told_and_their_errors_contained(
    service: ServiceClient, training: TrainingClient, caplog: pytest.LogCaptureFixture
) -> None:
    """A callback that fails is logged; the run is brought back all the same."""
    told: list[Any] = []

    def fail(*said: Any) -> None:
        told.append(said)
        raise ValueError("a mistake in the callback")

    path = str(training.save_state("first").result().path)
    with RecoveryExecutor() as executor, caplog.at_level(logging.ERROR):
        good = executor.recover(
            training.model_id, service, policy(on_recovery=fail), training=training
        ).result()
        wanted = policy(checkpoint=unheard_of("x"), max_attempts=1, on_failure=fail)
        bad = executor.recover("x", service, wanted)
        with pytest.raises(errors.NotFoundError) as caught:
            bad.result()
    assert told == [(training, good.training, path), ("x", caught.value)]
    assert caplog.text.count("ValueError: a mistake in the callback") == 2


def test_a_failed_restore_unloads_the_model_that_it_had_begun_to_make(
    server: LocalServer, service: ServiceClient, training: TrainingClient
) -> None:
    """Nothing is left in the server's memory."""
    path = str(training.save_state("first").result().path)
    service.create_training_client_from_state(path)
    server.faults.add(
        Fault(on="load_weights", status=400, body={"detail": "broken"}), Fault(on="unload_model", hold=0.001)
    )  # fmt: skip
    with RecoveryExecutor() as executor, pytest.raises(errors.BadRequestError):
        executor.recover(
            training.model_id, service, policy(checkpoint=path, max_attempts=1)
        ).result()
    assert [played.operation for played in server.faults.played] == ["load_weights", "unload_model"]


def test_a_session_that_is_over_is_replaced(
    server: LocalServer, service: ServiceClient, training: TrainingClient
) -> None:
    """A server that was restarted knows no session; the run is brought back in a new one."""
    training.save_state("first").result()
    before = service.session.id
    port, folder = int(server.base_url.rpartition(":")[2]), server.data_dir
    server.stop()
    with LocalServer(data_dir=folder, port=port), RecoveryExecutor() as executor:
        recovered = executor.recover(training.model_id, service, ON).result()
        assert train(recovered.training, 0) > 0
        assert service.session.id != before
        service.close()


def off(executor: RecoveryExecutor, service: ServiceClient) -> object:
    return executor.recover("r", service, RecoveryPolicy())


def without_id(executor: RecoveryExecutor, service: ServiceClient) -> object:
    return executor.recover("", service, ON)


@pytest.mark.parametrize("mistake", [off, without_id])
def test_what_cannot_be_meant_is_refused_at_once(
    mistake: Callable[[RecoveryExecutor, ServiceClient], object], nano_service: ServiceClient
) -> None:
    """A policy that is off, or a run without a name."""
    with RecoveryExecutor() as executor, pytest.raises(errors.ValidationError):
        mistake(executor, nano_service)


def test_a_closed_executor_takes_no_run_and_has_no_thread(nano_service: ServiceClient) -> None:
    """Its threads have ended, and it says that it is closed."""
    executor = RecoveryExecutor()
    outcome = executor.recover("r", nano_service, policy(max_attempts=1))
    executor.close()
    assert isinstance(outcome.exception(), errors.TinkexError)
    assert not [t for t in threading.enumerate() if t.name == "tinkex-recovery"]
    with pytest.raises(errors.ClientClosedError):
        executor.recover("r", nano_service, ON)
