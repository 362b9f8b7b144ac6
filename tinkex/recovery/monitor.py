"""Monitoring of runs, with recovery of those that the server has lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING, Self

from attrs import define, field

from tinkex._base.clock import SYSTEM_CLOCK, Clock
from tinkex._core.checks import checked_id
from tinkex.errors import (
    ClientClosedError,
    GoneError,
    NotFoundError,
    SessionLostError,
    TinkexError,
    ValidationError,
)
from tinkex.observability.events import emit
from tinkex.recovery.events import RecoveryDetected, RecoveryPollFailed
from tinkex.recovery.executor import RecoveryExecutor
from tinkex.recovery.policy import RecoveryPolicy
from tinkex.recovery.restore import described
from tinkex.types import TrainingRun

if TYPE_CHECKING:
    from tinkex.rest import RestClient
    from tinkex.service import ServiceClient
    from tinkex.training import TrainingClient

log = logging.getLogger("tinkex.recovery")

# A single 404 may come from a misconfigured proxy.
NOT_FOUND_BEFORE_LOST = 2


@define(eq=False)
class _Watched:
    run_id: str
    service: ServiceClient
    rest: RestClient
    training: TrainingClient | None
    metadata: Mapping[str, object]
    not_found: int = 0
    run: TrainingRun | None = field(default=None)


class RecoveryMonitor:
    """A thread that polls the state of runs, and has lost ones restored.

    >>> policy = RecoveryPolicy(enabled=True, on_recovery=lambda old, new, path: ...)
    >>> with RecoveryExecutor() as executor, RecoveryMonitor(policy, executor) as monitor:
    ...     monitor.monitor_run(training.model_id, service, training=training)

    A run is lost if the server says that it is corrupted; if it does not find the run twice in a row; or,
    if the training client was given, if the server no longer has the model in memory or has ended the
    session. The run is then passed to the executor and no longer monitored: monitor its successor from
    `RecoveryPolicy.on_recovery`.

    The thread runs as long as there are runs to monitor.

    Args:
        policy: The polling interval, and the recovery policy.
        executor: Restores the lost runs.
        rest: The client that polls; created from each run's service by default.
        clock: The clock of the waits.

    Raises:
        ValidationError: The policy is not enabled.
    """

    def __init__(
        self,
        policy: RecoveryPolicy,
        executor: RecoveryExecutor,
        rest: RestClient | None = None,
        clock: Clock = SYSTEM_CLOCK,
    ) -> None:
        if not policy.enabled:
            raise ValidationError("is off; use RecoveryPolicy(enabled=True)", path="policy.enabled")
        self._policy = policy
        self._executor = executor
        self._rest = rest
        self._clock = clock
        self._lock = threading.Lock()
        self._runs: dict[str, _Watched] = {}
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    @property
    def runs(self) -> tuple[str, ...]:
        """Return the ids of the monitored runs."""
        with self._lock:
            return tuple(self._runs)

    def monitor_run(
        self,
        run_id: str,
        service: ServiceClient,
        training: TrainingClient | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Monitor a run; the first poll is one interval from now.

        Args:
            run_id: Its id, the `model_id` of its client.
            service: A client of its server.
            training: The client that trains it; enables the detection of a model that is no longer in the
                server's memory.
            metadata: Metadata for the events.

        Raises:
            ClientClosedError: The monitor was closed.
        """
        watched = _Watched(
            checked_id(run_id, "run_id"),
            service,
            self._rest or service.create_rest_client(),
            training,
            dict(metadata or {}),
        )
        with self._lock:
            if self._stop.is_set():
                raise ClientClosedError("this RecoveryMonitor was closed; create a new one")
            self._runs[run_id] = watched
            if self._thread is None:
                self._thread = threading.Thread(
                    target=self._poll_loop, name="tinkex-recovery-monitor", daemon=True
                )
                self._thread.start()

    def stop_monitoring(self, run_id: str) -> None:
        """Stop monitoring a run, if it is monitored."""
        with self._lock:
            self._runs.pop(run_id, None)

    def poll(self) -> None:
        """Poll every run now, in this thread."""
        with self._lock:
            watched = list(self._runs.values())
        for one in watched:
            if (reason := self._loss_reason(one)) is not None:
                self._hand_over(one, reason)

    def close(self) -> None:
        """Stop monitoring; runs that were passed to the executor are still restored."""
        with self._lock:
            self._stop.set()
            self._runs.clear()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _poll_loop(self) -> None:
        while not self._clock.wait(self._stop, self._policy.poll_interval):
            self.poll()
            with self._lock:
                if not self._runs:
                    self._thread = None
                    return

    def _loss_reason(self, one: _Watched) -> str | None:
        """Return why a run is lost; None if it is not, or if its state is unknown."""
        try:
            one.run = one.rest.get_training_run(one.run_id)
            if one.run.corrupted:
                return "corrupted"
            if one.training is not None:
                one.training.get_info()
            one.not_found = 0
        except SessionLostError:
            return "lost"
        except (NotFoundError, GoneError) as error:
            one.not_found += 1
            if isinstance(error, GoneError) or one.not_found >= NOT_FOUND_BEFORE_LOST:
                return "lost"
            self._report(one, error)
        except Exception as error:  # noqa: BLE001 - one run's error must not end the monitoring
            self._report(one, error)
        return None

    def _report(self, one: _Watched, error: Exception) -> None:
        log.debug("the state of run %s is unknown: %s", one.run_id, error)
        emit(RecoveryPollFailed(run_id=one.run_id, metadata=one.metadata, error=described(error)))

    def _hand_over(self, one: _Watched, reason: str) -> None:
        last = one.run.last_checkpoint if one.run is not None else None
        path = None if last is None else last.tinker_path
        emit(
            RecoveryDetected(
                run_id=one.run_id, metadata=one.metadata, reason=reason, checkpoint=path
            )
        )
        try:
            self._executor.recover(
                one.run_id,
                one.service,
                self._policy,
                training=one.training,
                metadata=one.metadata,
                last_checkpoint=path,
                run=one.run,
                rest=one.rest,
            )
        except TinkexError as error:
            # It stays monitored, so it is passed on again at the next poll.
            self._report(one, error)
            return
        with self._lock:
            if self._runs.get(one.run_id) is one:
                del self._runs[one.run_id]
