"""Recovery of lost runs, with bounded concurrency and attempts."""

from __future__ import annotations

import heapq
import itertools
import os
import threading
from collections import deque
from collections.abc import Mapping
from concurrent.futures import Future as StandardFuture
from functools import partial
from typing import TYPE_CHECKING, Any, Self

from attrs import define, evolve, field, frozen

from tinkex._base.clock import SYSTEM_CLOCK, Clock
from tinkex._core.checks import checked_count, checked_id
from tinkex._core.futures import fail_in_child, forked_error
from tinkex.errors import ClientClosedError, ValidationError
from tinkex.observability.events import emit
from tinkex.recovery.attempts import contained
from tinkex.recovery.events import (
    CheckpointSelected,
    ClientCreated,
    RecoveryCompleted,
    RecoveryExhausted,
    RecoveryFailed,
    RecoveryStarted,
)
from tinkex.recovery.policy import Recovered, RecoveryPolicy
from tinkex.recovery.restore import described, restore
from tinkex.recovery.selection import selected
from tinkex.types import TrainingRun

if TYPE_CHECKING:
    from tinkex.rest import RestClient
    from tinkex.service import ServiceClient
    from tinkex.training import TrainingClient


@frozen(kw_only=True)
class LostRun:
    """A lost run, and what is known about it.

    Attributes:
        run_id: The server's id of the run.
        service: A client of the server.
        policy: The recovery policy.
        training: The client that trained it.
        metadata: Metadata for the events.
        last_checkpoint: Path of the last checkpoint, if known.
        run: The server's description of the run.
        rest: The client that lists checkpoints; created from `service` by default.
    """

    run_id: str
    service: ServiceClient
    policy: RecoveryPolicy
    training: TrainingClient | None = None
    metadata: Mapping[str, object] = field(factory=dict)
    last_checkpoint: str | None = None
    run: TrainingRun | None = None
    rest: RestClient | None = None


@define(eq=False)
class _Job:
    lost: LostRun
    outcome: StandardFuture[Recovered] = field(factory=StandardFuture)
    attempt: int = 0


class RecoveryExecutor:
    """A thread pool that restores lost runs.

    >>> path = training.save_state("to-go-back-to").result().path
    >>> policy = RecoveryPolicy(enabled=True, checkpoint="latest")
    >>> with RecoveryExecutor() as executor:
    ...     recovered = executor.recover(training.model_id, service, policy).result()
    ...     training = recovered.training

    Runs wait in a queue; a run in back-off does not block others.

    Args:
        max_concurrent: Most concurrent attempts.
        clock: The clock of the waits.
    """

    def __init__(self, max_concurrent: int = 1, clock: Clock = SYSTEM_CLOCK) -> None:
        self._most = checked_count(max_concurrent, "max_concurrent", 1)
        self._clock = clock
        self._lock = threading.Lock()
        self._pending: dict[str, _Job] = {}
        self._ready: deque[_Job] = deque()
        self._later: list[tuple[float, int, _Job]] = []
        self._order = itertools.count()
        self._wake = threading.Event()
        self._threads: set[threading.Thread] = set()
        self._closed = False
        self._process = os.getpid()

    @property
    def pending(self) -> tuple[str, ...]:
        """Return the ids of the runs that are queued, being restored, or in back-off."""
        with self._lock:
            return tuple(self._pending)

    def recover(
        self,
        run_id: str,
        service: ServiceClient,
        policy: RecoveryPolicy,
        *,
        training: TrainingClient | None = None,
        metadata: Mapping[str, object] | None = None,
        last_checkpoint: str | None = None,
        run: TrainingRun | None = None,
        rest: RestClient | None = None,
    ) -> StandardFuture[Recovered]:
        """Restore a run, and return the future of the result.

        A run that is already pending is not queued twice: its future is returned. The policy's callbacks
        are called before the future is done.

        Args:
            run_id: The lost run.
            service: A client of the server. If its session has ended, it creates a new one.
            policy: Checkpoint, limits and callbacks.
            training: The client that trained it; passed to `RecoveryPolicy.on_recovery`.
            metadata: Metadata for the events.
            last_checkpoint: Path of its last checkpoint, if known.
            run: The server's description of the run, if just fetched.
            rest: The client that lists checkpoints; created from `service` by default.

        Raises:
            ValidationError: The policy is not enabled, or the run does not exist.
            ClientClosedError: The executor was closed.
        """
        if not policy.enabled:
            raise ValidationError("is off; use RecoveryPolicy(enabled=True)", path="policy.enabled")
        lost = LostRun(
            run_id=checked_id(run_id, "run_id"),
            service=service,
            policy=policy,
            training=training,
            metadata=dict(metadata or {}),
            last_checkpoint=last_checkpoint,
            run=run,
            rest=rest,
        )
        if self._process != os.getpid():
            raise ClientClosedError(
                "this RecoveryExecutor was made before the process forked, and its threads belong to the "
                "parent; create a new one in this process"
            )
        with self._lock:
            if self._closed:
                raise ClientClosedError("this RecoveryExecutor was closed; create a new one")
            job = self._pending.get(run_id)
            if job is None:
                job = self._pending[run_id] = _Job(lost)
                job.outcome.set_running_or_notify_cancel()
                fail_in_child(job.outcome, partial(forked_error, "this recovery"))
                self._ready.append(job)
                self._start_thread()
            return job.outcome

    def close(self) -> None:
        """Start no further attempts, and wait for those in progress; queued runs are abandoned."""
        with self._lock:
            self._closed = True
            waiting = [*self._ready, *(job for _, _, job in self._later)]
            self._ready.clear()
            self._later.clear()
            threads = list(self._threads)
            self._wake.set()
        for job in waiting:
            self._settle(
                job,
                ClientClosedError("the RecoveryExecutor was closed before the run was restored"),
            )
        for thread in threads:
            if thread is not threading.current_thread():
                thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def _start_thread(self) -> None:
        self._wake.set()
        if len(self._threads) < self._most:
            thread = threading.Thread(target=self._work, name="tinkex-recovery", daemon=True)
            self._threads.add(thread)
            thread.start()

    def _work(self) -> None:
        while (job := self._next()) is not None:
            self._attempt(job)

    def _next(self) -> _Job | None:
        """Wait for a job that is due; return None, which ends the thread, if none is left."""
        while True:
            with self._lock:
                now = self._clock.now()
                while self._later and self._later[0][0] <= now:
                    self._ready.append(heapq.heappop(self._later)[2])
                if self._ready:
                    return self._ready.popleft()
                if self._closed or not self._later:
                    self._threads.discard(threading.current_thread())
                    return None
                self._wake.clear()
                due = self._later[0][0] - now
            self._clock.wait(self._wake, due)

    def _attempt(self, job: _Job) -> None:
        job.attempt += 1
        lost = job.lost
        try:
            outcome: Recovered | Exception = restore_once(lost, job.attempt)
        except Exception as error:  # noqa: BLE001 - the future gets it
            outcome = error
        if isinstance(outcome, Recovered):
            if lost.policy.on_recovery is not None:
                contained(
                    lost.policy.on_recovery, lost.training, outcome.training, outcome.checkpoint
                )
            self._settle(job, outcome)
            return
        fields = {**_event_fields(lost, job.attempt), "error": described(outcome)}
        emit(RecoveryFailed(**fields))
        if job.attempt < lost.policy.max_attempts and self._postpone(job):
            return
        emit(RecoveryExhausted(**fields))
        if lost.policy.on_failure is not None:
            contained(lost.policy.on_failure, lost.run_id, outcome)
        self._settle(job, outcome)

    def _postpone(self, job: _Job) -> bool:
        # The cached description of the run may be why the attempt failed.
        job.lost = evolve(job.lost, run=None)
        wait = job.lost.policy.wait_before(job.attempt + 1)
        with self._lock:
            if self._closed:
                return False
            heapq.heappush(self._later, (self._clock.now() + wait, next(self._order), job))
            return True

    def _settle(self, job: _Job, outcome: Recovered | Exception) -> None:
        with self._lock:
            self._pending.pop(job.lost.run_id, None)
        if isinstance(outcome, Recovered):
            job.outcome.set_result(outcome)
        else:
            job.outcome.set_exception(outcome)


def restore_once(lost: LostRun, attempt: int = 1) -> Recovered:
    """Make one attempt, in this thread.

    Raises:
        CheckpointError: There is no checkpoint to restore.
        TinkexError: The server refuses, or is unreachable.
    """
    fields = _event_fields(lost, attempt)
    emit(RecoveryStarted(**fields))
    rest = lost.rest or lost.service.create_rest_client()
    path = selected(lost.policy, lost.run_id, rest, lost.run, lost.last_checkpoint)
    emit(CheckpointSelected(**fields, checkpoint=path))
    training = restore(lost.service, path, optimizer=lost.policy.restore_optimizer)
    emit(ClientCreated(**fields, checkpoint=path, model_id=training.model_id))
    emit(RecoveryCompleted(**fields, checkpoint=path, model_id=training.model_id))
    return Recovered(lost.run_id, training, path, attempt, lost.policy.restore_optimizer)


def _event_fields(lost: LostRun, attempt: int) -> Any:
    return {
        "run_id": lost.run_id,
        "metadata": lost.metadata,
        "attempt": attempt,
        "strategy": lost.policy.strategy,
    }
