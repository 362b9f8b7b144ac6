"""What a run waits out and repeats, and what makes it go back to a checkpoint."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from recovery.test_resumable import QUICK, go, restarted, run_of, undisturbed
from support.clock import FakeClock
from support.stored_weights import assert_same_weights, stored_weights

from tinkex import Config, ServiceClient, errors
from tinkex._core.transport import Transport
from tinkex.local import LocalServer
from tinkex.observability.events import Event, subscribe
from tinkex.recovery import RecoveryEvent, ResumableRun, Step
from tinkex.testing import Fault


@pytest.fixture
def service(server: LocalServer) -> Iterator[ServiceClient]:
    """A client whose own patience is over at the first failure of a call."""
    config = Config(base_url=server.base_url, max_retries=0)
    transport = Transport(config, clock=FakeClock(), jitter=float)
    with ServiceClient(config=config, transport=transport) as service:
        yield service


@pytest.fixture
def heard() -> Iterator[list[Event]]:
    found: list[Event] = []
    with subscribe(found.append, RecoveryEvent):
        yield found


def names(heard: list[Event]) -> list[str]:
    return [event.name.rpartition(".")[2] for event in heard]


BUSY = {"status": 429, "body": {"detail": "too many requests"}}
PASSING = [
    Fault(on="forward_backward", nth=3, times=2, **BUSY),
    Fault(on="optim_step", nth=3, times=2, **BUSY),
    Fault(on="optim_step", nth=3, times=2, status=503, applied=True),
    Fault(on="optim_step", nth=3, times=2, reset=True),
    Fault(on="forward_backward", nth=3, times=2, reset=True),
    Fault(on="forward_backward", nth=3, truncate=5),
    Fault(on="save_weights", times=2, status=502),
    Fault(on="save_weights", times=2, reset=True),
    # More polls than the client's own patience lasts.
    Fault(on="retrieve_future", nth=4, times=22, status=503),
]


@pytest.mark.holds("F45")
@pytest.mark.parametrize("fault", PASSING, ids=repr)
def test_what_can_be_repeated_exactly_once_costs_the_run_no_step(
    tmp_path: Path,
    server: LocalServer,
    service: ServiceClient,
    data: Path,
    heard: list[Event],
    fault: Fault,
) -> None:
    """A full server, an outage, a lost connection: the same call is made again, with the same result."""
    server.faults.add(fault)
    clock = FakeClock()
    with run_of(tmp_path, service, clock=clock) as run:
        model = run.training.model_id
        assert go(run, 6) == [0, 1, 2, 3, 4, 5]
        last = run.checkpoints[-1]
    assert len(server.faults.played) == fault.times
    assert run.training.model_id == model
    assert heard == []
    # The client itself sends once more what met a connection that was closed while it was idle.
    assert clock.slept == [1.0, 2.0][: len(clock.slept)]
    assert_same_weights(stored_weights(data, last.path), undisturbed(6))


@pytest.mark.holds("F51")
@pytest.mark.parametrize("status", [429, 503])
def test_a_server_that_says_not_to_come_again_is_obeyed(
    tmp_path: Path, server: LocalServer, service: ServiceClient, heard: list[Event], status: int
) -> None:
    """Its word is final: neither is the call repeated, nor the model gone back with, since it is there."""
    server.faults.add(
        Fault(on="optim_step", nth=3, status=status, headers={"x-should-retry": "false"})
    )
    with run_of(tmp_path, service) as run, pytest.raises(errors.ApiError) as caught:
        go(run, 6)
    assert caught.value.status_code == status
    assert len(server.faults.played) == 1
    assert heard == []


def test_a_server_that_stays_full_ends_the_program_and_not_the_run(
    tmp_path: Path, server: LocalServer, service: ServiceClient, data: Path, heard: list[Event]
) -> None:
    """After as many repetitions as the policy allows the error comes through; the next start continues."""
    server.faults.add(
        Fault(on="optim_step", nth=6, times=None, headers={"retry-after": "30"}, **BUSY)
    )
    clock = FakeClock()
    with run_of(tmp_path, service, clock=clock) as run, pytest.raises(errors.RateLimitError):
        go(run, 10)
    assert clock.slept == [30.0] * QUICK.max_attempts
    assert heard == []
    server.faults.clear()
    with run_of(tmp_path, service) as run:
        assert go(run, 10) == [4, 5, 6, 7, 8, 9]
        last = run.checkpoints[-1]
    assert_same_weights(stored_weights(data, last.path), undisturbed(10))


def test_a_server_that_comes_back_without_the_model_is_gone_back_on(
    tmp_path: Path, server: LocalServer, service: ServiceClient, data: Path, heard: list[Event]
) -> None:
    """The call is repeated until the server says that it has no such model; then it is lost."""
    servers = [server]

    def restart(run: ResumableRun, step: Step) -> None:
        if step == 5 and len(servers) == 1:
            servers.append(restarted(servers[0]))

    with run_of(tmp_path, service) as run:
        assert go(run, 6, first=restart) == [0, 1, 2, 3, 4, 4, 5]
        last = run.checkpoints[-1]
    servers[-1].stop()
    assert names(heard)[0] == "detected"
    assert names(heard)[-1] == "completed"
    assert_same_weights(stored_weights(data, last.path), undisturbed(6))


@pytest.mark.parametrize(
    "fault",
    [
        Fault(on="retrieve_future", nth=6, status=200, body={"error": "x", "category": "server"}),
        Fault(on="retrieve_future", nth=6, status=410),
        Fault(on="retrieve_future", nth=6, status=500, headers={"x-should-retry": "false"}),
        Fault(on="retrieve_future", nth=6, status=200, body="<html>"),
    ],
    ids=["failed", "expired", "refused", "unreadable"],
)
def test_a_result_that_is_not_to_be_had_is_gone_back_for(
    tmp_path: Path,
    server: LocalServer,
    service: ServiceClient,
    data: Path,
    heard: list[Event],
    fault: Fault,
) -> None:
    """The call's number is used up, so it cannot be made again on this model."""
    server.faults.add(fault)
    with run_of(tmp_path, service) as run:
        trained = go(run, 6)
        last = run.checkpoints[-1]
    assert len(trained) > 6
    assert names(heard)[0] == "detected"
    assert_same_weights(stored_weights(data, last.path), undisturbed(6))


def test_a_batch_of_which_a_part_was_applied_is_not_sent_again(
    tmp_path: Path, server: LocalServer, data: Path, heard: list[Event]
) -> None:
    """Its first part would count twice; the run goes back instead."""
    config = Config(base_url=server.base_url, max_retries=0, chunk_len=1)
    transport = Transport(config, clock=FakeClock(), jitter=float)
    server.faults.add(Fault(on="forward_backward", nth=4, **BUSY))
    with (
        ServiceClient(config=config, transport=transport) as service,
        run_of(tmp_path, service) as run,
    ):
        trained = go(run, 6)
        last = run.checkpoints[-1]
    assert trained == [0, 0, 1, 2, 3, 4, 5]
    assert names(heard)[0] == "detected"
    # In parts the sums are rounded otherwise, and nothing else is different.
    found = stored_weights(data, last.path)
    for name, tensor in undisturbed(6).items():
        np.testing.assert_allclose(found[name], tensor, rtol=1e-3, atol=1e-4, err_msg=name)


def test_another_clients_trouble_is_no_loss(
    tmp_path: Path, server: LocalServer, service: ServiceClient, heard: list[Event]
) -> None:
    """What fails beside the model, which is there, comes through."""
    rest = service.create_rest_client()

    def ask(run: ResumableRun, step: Step) -> Any:
        server.faults.add(Fault(on="get_training_run", status=500))
        return rest.get_training_run(run.training.model_id)

    with run_of(tmp_path, service) as run, pytest.raises(errors.ServerError):
        go(run, 3, first=ask)
    assert heard == []
