"""Train, have the server report the run as corrupted once, and continue with the restored client.

    python examples/recovery_live_injected.py

Everything is real except for one response: the first poll of the monitor reports the run as corrupted.

Settings: TINKER_API_KEY, TINKER_BASE_URL, TINKER_BASE_MODEL.
"""

from __future__ import annotations

import queue
import sys
import time
from typing import Any

from attrs import evolve
from connection import base_model, connect

from tinkex import RestClient, TinkexError, TrainingClient
from tinkex.recovery import RecoveryExecutor, RecoveryMonitor, RecoveryPolicy
from tinkex.types import CheckpointPath, TrainingRun

PATIENCE = 120.0


class CorruptedOnce:
    """Pass everything on to a RestClient, but say once that a run is corrupted."""

    def __init__(self, rest: RestClient) -> None:
        self._rest = rest
        self._is_next = True

    def get_training_run(self, training_run_id: str) -> TrainingRun:
        """Return the run, the first time as corrupted."""
        run = self._rest.get_training_run(training_run_id)
        is_next, self._is_next = self._is_next, False
        return evolve(run, corrupted=True) if is_next else run

    def __getattr__(self, name: str) -> Any:
        return getattr(self._rest, name)


def main() -> None:
    """Save, break, continue, save again."""
    outcome: queue.Queue[tuple[TrainingClient | None, TrainingClient, str] | str] = queue.Queue()
    policy = RecoveryPolicy(
        enabled=True,
        checkpoint="latest",
        poll_interval=1.0,
        backoff=2.0,
        max_backoff=10.0,
        max_attempts=5,
        on_recovery=lambda old, new, path: outcome.put((old, new, path)),
        on_failure=lambda run_id, error: outcome.put(f"{run_id} was given up: {error}"),
    )
    with connect() as service:
        training = service.create_lora_training_client(base_model(service), rank=8)
        suffix = int(time.time())
        first = str(training.save_state(f"recovery-live-1-{suffix}").result().path)
        run_id = CheckpointPath.parse(first).training_run_id
        print(f"Saved {first}")
        injected: Any = CorruptedOnce(service.create_rest_client())
        with (
            RecoveryExecutor(max_concurrent=1) as executor,
            RecoveryMonitor(policy, executor, injected) as monitor,
        ):
            monitor.monitor_run(run_id, service, training)
            print(f"Watching {run_id}; the next look finds it corrupted")
            try:
                found = outcome.get(timeout=PATIENCE)
            except queue.Empty:
                raise TinkexError(f"the run was not brought back in {PATIENCE:g} s") from None
        if isinstance(found, str):
            raise TinkexError(found)
        old, new, path = found
        print("Recovered")
        print(f"  old client: {old}")
        print(f"  new client: {new}")
        print(f"  checkpoint: {path}")
        second = new.save_state(f"recovery-live-2-{suffix}").result().path
        print(f"Checkpoints: {first} and {second}")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
