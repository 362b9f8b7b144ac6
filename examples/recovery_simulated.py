"""Show a monitor bring back a run that breaks, offline, on a server that is made up.

    python examples/recovery_simulated.py

Needs no key, no server and no network. What is real is `tinkex.recovery`: the policy, the monitor that
polls the state of the run, the executor that restores it, and their events.
"""

from __future__ import annotations

import queue
import sys
import uuid
from datetime import UTC, datetime
from typing import Any, cast

import connection  # noqa: F401 - it answers --help
from attrs import define, field

from tinkex import RestClient, ServiceClient, TinkexError, TrainingClient
from tinkex.observability.events import Event, subscribe
from tinkex.recovery import RecoveryEvent, RecoveryExecutor, RecoveryMonitor, RecoveryPolicy
from tinkex.types import Checkpoint, TrainingRun

PATIENCE = 3.0


@define
class Simulation:
    """The state of a simulated run."""

    run_id: str
    last_checkpoint: Checkpoint
    remaining: list[Checkpoint]
    corrupted: bool = False
    completed: list[str] = field(factory=list)
    clients: list[str] = field(factory=list)
    restored_with: str = "nothing"

    def status(self) -> dict[str, Any]:
        """Return what is shown at the end."""
        return {
            "corrupted": self.corrupted,
            "last_checkpoint": self.last_checkpoint.tinker_path,
            "completed": self.completed,
            "clients": self.clients,
            "restored_with": self.restored_with,
        }


class SimulatedRest:
    """Answer what a monitor asks."""

    def __init__(self, state: Simulation) -> None:
        self.state = state

    def get_training_run(self, training_run_id: str) -> TrainingRun:
        """Return the run, corrupted or not."""
        return TrainingRun(
            training_run_id=training_run_id,
            base_model="a made-up model",
            model_owner="nobody",
            is_lora=True,
            last_request_time=datetime.now(UTC),
            corrupted=self.state.corrupted,
            last_checkpoint=self.state.last_checkpoint,
        )


class SimulatedService:
    """Restore what an executor wants restored."""

    def __init__(self, state: Simulation) -> None:
        self.state = state

    def renew_session(self) -> None:
        """Return the only session."""

    def create_training_client_from_state(self, path: str, *_: object) -> TrainingClient:
        """Restore the weights alone."""
        return self._restored(path, "weights")

    def create_training_client_from_state_with_optimizer(
        self, path: str, *_: object
    ) -> TrainingClient:
        """Restore the weights, and the optimizer's state with them."""
        return self._restored(path, "weights and optimizer")

    def _restored(self, path: str, what: str) -> TrainingClient:
        """Mend the run, train it to its next checkpoint, and return its new client."""
        state = self.state
        state.corrupted = False
        state.restored_with = what
        state.last_checkpoint = state.remaining.pop(0)
        state.completed += [path, state.last_checkpoint.tinker_path]
        client = _Client(f"{state.run_id}-restored-{len(state.clients) + 1}")
        state.clients.append(client.model_id)
        return cast("TrainingClient", client)


@define
class _Client:
    model_id: str


def checkpoint(run_id: str, number: str) -> Checkpoint:
    """Return a simulated checkpoint."""
    return Checkpoint(
        checkpoint_id=f"weights/{number}",
        checkpoint_type="training",
        time=datetime.now(UTC),
        tinker_path=f"tinker://{run_id}/weights/{number}",
    )


def main() -> None:
    """Break the run, and watch it being brought back."""
    run_id = f"demo-run-{uuid.uuid4().hex[:8]}"
    state = Simulation(run_id, checkpoint(run_id, "0001"), [checkpoint(run_id, "0002")])
    service = cast("ServiceClient", SimulatedService(state))
    rest = cast("RestClient", SimulatedRest(state))
    policy = RecoveryPolicy(
        enabled=True,
        checkpoint="latest",
        restore_optimizer=True,
        poll_interval=0.15,
        backoff=0.1,
        max_backoff=0.4,
        max_attempts=3,
    )
    print(f"1) Seeded checkpoint {state.last_checkpoint.tinker_path}")
    events: queue.Queue[Event] = queue.Queue()
    with (
        subscribe(events.put, RecoveryEvent),
        RecoveryExecutor(max_concurrent=1) as executor,
        RecoveryMonitor(policy, executor, rest) as monitor,
    ):
        monitor.monitor_run(run_id, service, metadata={"example": "recovery_simulated"})
        state.corrupted = True
        print(f"2) Simulated corruption on {run_id}")
        done = wait_for_the_end(events)
    fields = done.fields()
    print(f"3) Recovery succeeded from {fields['checkpoint']} -> {fields['model_id']}")
    print(f"4) Checkpoints processed: {', '.join(state.completed)}")
    print("Final status:")
    for name, value in state.status().items():
        print(f"  {name}: {value}")


def wait_for_the_end(events: queue.Queue[Event]) -> Event:
    """Print every event up to the one of the completed recovery, and return that."""
    while True:
        try:
            event = events.get(timeout=PATIENCE)
        except queue.Empty:
            raise TinkexError(f"nothing happened for {PATIENCE:g} s") from None
        print(f"   {event.name}")
        if event.name == "tinkex.recovery.completed":
            return event
        if event.name == "tinkex.recovery.exhausted":
            raise TinkexError(f"the run could not be brought back: {event.fields()['error']}")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
