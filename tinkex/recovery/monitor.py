"""Watch runs, and have those brought back that the server has lost."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from types import TracebackType
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

# A single 404 may come from a proxy that lost its way.
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
    """Ask the server at intervals how runs are doing, and have the lost ones brought back.

    >>> policy = RecoveryPolicy(enabled=True, on_recovery=lambda old, new, path: ...)
    >>> with RecoveryExecutor() as executor, RecoveryMonitor(policy, executor) as monitor:
    ...     monitor.monitor_run(training.model_id, service, training=training)

    A run is lost if the server says that it is corrupted; if it does not know the run any more,
    twice in a row; or, where the client that trains it was given, if it has no such model in memory
    or has ended its session. It is then handed to the executor and watched no longer: watch the new
    one from `RecoveryPolicy.on_recovery`.

    Its thread lives as long as there are runs to watch.

    Args:
        policy: How often is asked, and how runs are brought back.
        executor: What brings them back.
        rest: What asks; made from each run's service if it is not given.
        clock: What waits between two looks.

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
            raise ValidationError(
                "is off; RecoveryPolicy(enabled=True) brings runs back", path="policy.enabled"
            )
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
        """Return the ids of the runs that are watched."""
        with self._lock:
            return tuple(self._runs)

    def monitor_run(
        self,
        run_id: str,
        service: ServiceClient,
        training: TrainingClient | None = None,
        metadata: Mapping[str, object] | None = None,
    ) -> None:
        """Watch a run; the first look is one interval from now.

        Args:
            run_id: Its id, the `model_id` of its client.
            service: The way to its server.
            training: The client that trains it; with it, a model that is no longer in the server's
                memory is noticed too.
            metadata: What events say along.

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
                    target=self._look_on, name="tinkex-recovery-monitor", daemon=True
                )
                self._thread.start()

    def stop_monitoring(self, run_id: str) -> None:
        """Watch a run no longer, if it was."""
        with self._lock:
            self._runs.pop(run_id, None)

    def poll(self) -> None:
        """Look at every run now, in this thread."""
        with self._lock:
            watched = list(self._runs.values())
        for one in watched:
            if (reason := self._looked_at(one)) is not None:
                self._hand_over(one, reason)

    def close(self) -> None:
        """Watch nothing any more; runs that were handed over are still brought back."""
        with self._lock:
            self._stop.set()
            self._runs.clear()
            thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _look_on(self) -> None:
        while not self._clock.wait(self._stop, self._policy.poll_interval):
            self.poll()
            with self._lock:
                if not self._runs:
                    self._thread = None
                    return

    def _looked_at(self, one: _Watched) -> str | None:
        """Return why a run is lost; None while it is not, or as long as that is not known."""
        try:
            one.run = one.rest.get_training_run(one.run_id)
            if one.run.corrupted:
                return "corrupted"
            if one.training is not None:
                one.training._session.check()
                one.training.get_info()
            one.not_found = 0
        except SessionLostError:
            return "lost"
        except (NotFoundError, GoneError) as error:
            one.not_found += 1
            if isinstance(error, GoneError) or one.not_found >= NOT_FOUND_BEFORE_LOST:
                return "lost"
            self._tell(one, error)
        except Exception as error:  # noqa: BLE001 - one run's trouble must not end the watch
            self._tell(one, error)
        return None

    def _tell(self, one: _Watched, error: Exception) -> None:
        log.debug("how run %s is doing is not known: %s", one.run_id, error)
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
            # It stays watched, so it is handed over again at the next look.
            self._tell(one, error)
            return
        with self._lock:
            if self._runs.get(one.run_id) is one:
                del self._runs[one.run_id]
