"""A monitor notices that a run is lost, and hands it over once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest
from attrs import evolve
from support.clock import FakeClock
from support.training import NANO_RUN, train

from tinkex import RestClient, ServiceClient, TrainingClient, errors
from tinkex.local import LocalServer
from tinkex.observability.events import Event, subscribe
from tinkex.recovery import RecoveryEvent, RecoveryExecutor, RecoveryMonitor, RecoveryPolicy
from tinkex.types import TrainingRun

POLICY = RecoveryPolicy(enabled=True, poll_interval=30.0)


@pytest.fixture
def heard() -> Iterator[list[Event]]:
    events: list[Event] = []
    with subscribe(events.append, RecoveryEvent):
        yield events


@pytest.fixture
def training(service: ServiceClient) -> TrainingClient:
    settings = {key: value for key, value in NANO_RUN.items() if key != "base_model"}
    training = service.create_lora_training_client(NANO_RUN["base_model"], **settings)
    training.save_state("first").result()
    return training


class Told(RestClient):
    """Ask the server, but say what a list says instead, as long as there is something in it."""

    def __init__(self, rest: RestClient, *says: Any) -> None:
        super().__init__(rest._transport)
        self.says = list(says)

    def get_training_run(self, training_run_id: str, access_scope: Any = "owned") -> TrainingRun:
        said = self.says.pop(0) if self.says else {}
        if isinstance(said, Exception):
            raise said
        return evolve(super().get_training_run(training_run_id, access_scope), **said)


def names(heard: list[Event]) -> list[str]:
    return [event.name.removeprefix("tinkex.recovery.") for event in heard]


@pytest.mark.holds("F45")
def test_a_run_that_the_server_calls_corrupted_is_brought_back(
    service: ServiceClient, training: TrainingClient, heard: list[Event]
) -> None:
    """A healthy run stays watched; a corrupted one is handed over, and is watched no longer."""
    rest = Told(service.create_rest_client(), {}, {"corrupted": True})
    clock, told = FakeClock(), []
    policy = evolve(POLICY, on_recovery=lambda *said: told.append(said))
    with (
        RecoveryExecutor(clock=clock) as executor,
        RecoveryMonitor(policy, executor, rest, clock) as monitor,
    ):
        monitor.monitor_run(training.model_id, service, training, {"team": "a"})
        began = clock.now()
        clock.run_until(lambda: len(rest.says) == 1)
        assert clock.now() - began == 30.0
        assert monitor.runs == (training.model_id,)
        clock.run_until(lambda: bool(told))
    assert monitor.runs == ()
    ((old, new, path),) = told
    assert old is training
    assert path == f"tinker://{training.model_id}/weights/first"
    assert train(new, 0) > 0
    assert names(heard) == [
        "detected",
        "started",
        "checkpoint_selected",
        "client_created",
        "completed",
    ]
    assert heard[0].fields() == {
        "run_id": training.model_id,
        "metadata": {"team": "a"},
        "reason": "corrupted",
        "checkpoint": path,
    }


def test_a_run_whose_state_is_unknown_stays_watched(
    service: ServiceClient, training: TrainingClient, heard: list[Event]
) -> None:
    """An error of the server is told, and asked again; a single 404 counts as one."""
    gone = errors.NotFoundError("no such run", status_code=404)
    down = errors.ServerError("down", status_code=503)
    rest = Told(service.create_rest_client(), down, gone, ValueError("unforeseen"), {}, gone)
    with RecoveryExecutor() as executor, RecoveryMonitor(POLICY, executor, rest) as monitor:
        monitor.monitor_run(training.model_id, service)
        for _ in range(5):
            monitor.poll()
        assert monitor.runs == (training.model_id,)
    assert names(heard) == ["poll_error"] * 4
    assert heard[0].fields()["error"] == "ServerError: down (status=503)"


def test_a_run_that_the_server_does_not_know_twice_in_a_row_is_lost(
    service: ServiceClient, training: TrainingClient, heard: list[Event]
) -> None:
    """It goes on from the checkpoint that was last heard of."""
    gone = errors.NotFoundError("no such run", status_code=404)
    rest = Told(service.create_rest_client(), {}, gone, gone)
    with RecoveryExecutor() as executor:
        with RecoveryMonitor(POLICY, executor, rest) as monitor:
            monitor.monitor_run(training.model_id, service)
            for _ in range(3):
                monitor.poll()
            assert monitor.runs == ()
        executor.recover(training.model_id, service, POLICY).result()
    assert names(heard)[:3] == ["poll_error", "detected", "started"]
    assert heard[1].fields()["reason"] == "lost"


def test_a_model_that_is_no_longer_in_memory_is_lost(
    server: LocalServer, service: ServiceClient, training: TrainingClient, heard: list[Event]
) -> None:
    """After a restart the server lists the run as before; the client's model says otherwise."""
    port, folder = int(server.base_url.rpartition(":")[2]), server.data_dir
    server.stop()
    told: list[Any] = []
    recovered = threading.Event()

    def note(*said: Any) -> None:
        told.append(said)
        recovered.set()

    policy = evolve(POLICY, on_recovery=note)
    with LocalServer(data_dir=folder, port=port), RecoveryExecutor() as executor:
        with RecoveryMonitor(policy, executor) as monitor:
            monitor.monitor_run(training.model_id, service, training)
            while monitor.runs:
                monitor.poll()
        # Closing gives up what no thread has begun with.
        assert recovered.wait(30)
        ((_, new, _),) = told
        assert train(new, 0) > 0
        service.close()
    assert names(heard)[-1] == "completed"


def test_a_run_that_is_watched_no_longer_is_left_alone(
    service: ServiceClient, training: TrainingClient, heard: list[Event]
) -> None:
    """Whatever the server says of it."""
    rest = Told(service.create_rest_client(), {"corrupted": True})
    with RecoveryExecutor() as executor, RecoveryMonitor(POLICY, executor, rest) as monitor:
        monitor.monitor_run(training.model_id, service)
        monitor.stop_monitoring(training.model_id)
        monitor.poll()
    assert heard == []
    assert len(rest.says) == 1


def test_a_run_that_the_executor_does_not_take_stays_watched(
    service: ServiceClient, training: TrainingClient, heard: list[Event]
) -> None:
    """It is handed over again at the next look."""
    rest = Told(service.create_rest_client(), {"corrupted": True})
    executor = RecoveryExecutor()
    executor.close()
    with RecoveryMonitor(POLICY, executor, rest) as monitor:
        monitor.monitor_run(training.model_id, service)
        monitor.poll()
        assert monitor.runs == (training.model_id,)
    assert names(heard) == ["detected", "poll_error"]


def test_a_monitor_needs_a_policy_that_is_on() -> None:
    """Otherwise nothing would ever be brought back."""
    with RecoveryExecutor() as executor, pytest.raises(errors.ValidationError, match="is off"):
        RecoveryMonitor(RecoveryPolicy(), executor)
    monitor = RecoveryMonitor(POLICY, executor)
    monitor.close()
    with pytest.raises(errors.ClientClosedError):
        monitor.monitor_run("r", ServiceClient(base_url="http://127.0.0.1:9"))
