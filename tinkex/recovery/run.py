"""A training loop that resumes after a crash of its process, its machine or its server."""

from __future__ import annotations

import contextlib
import logging
import math
import secrets
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from attrs import evolve

from tinkex._base.clock import Clock
from tinkex._core.checks import check_training_path, checked_count
from tinkex.errors import DecodeError, TinkexError, ValidationError
from tinkex.observability.events import emit
from tinkex.recovery.attempts import Attempts
from tinkex.recovery.client import RunTrainingClient
from tinkex.recovery.events import RecoveryDetected
from tinkex.recovery.lineage import check_same, start_or_resume
from tinkex.recovery.patience import Patience, is_repeatable
from tinkex.recovery.policy import RecoveryPolicy
from tinkex.recovery.restore import described, is_loss
from tinkex.recovery.runfile import (
    RunCheckpoint,
    RunRecord,
    checked_state,
    held,
    read_run,
    write_run,
)
from tinkex.recovery.steps import Step

if TYPE_CHECKING:
    from tinkex._core.futures import Future
    from tinkex.service import ServiceClient
    from tinkex.training import TrainingClient

log = logging.getLogger("tinkex.recovery")


class ResumableRun:
    """A resumable run, created by `resumable` and used as a ``with`` block.

    Attributes:
        folder: The folder of its file.
        service: A client of the server.
        training: The client that trains. It stays the same object when the model is restored, but its
            `model_id` changes, so samplers must be created again.
        state: Your dict, saved and restored with each checkpoint: whatever the next batches depend on
            besides the step's number. It may hold JSON values, with strings as
            keys.
        resumed_from: The step from which this process resumed; None if the run is new.
    """

    def __init__(
        self,
        folder: Path,
        service: ServiceClient,
        settings: Mapping[str, Any],
        *,
        every: int,
        ttl: timedelta | None,
        keep_last: int,
        policy: RecoveryPolicy,
        user_metadata: Mapping[str, str] | None,
        clock: Clock,
    ) -> None:
        self.folder = folder
        self.service = service
        self.state: dict[str, Any] = {}
        self.resumed_from: int | None = None
        self.training: TrainingClient
        self._client: RunTrainingClient | None = None
        self._settings = settings
        self._every = every
        self._ttl = ttl
        self._keep_last = keep_last
        self._user_metadata = user_metadata
        self._attempts = Attempts(policy, clock)
        self._patience = Patience(policy, clock)
        self._record: RunRecord
        self._exit = contextlib.ExitStack()
        self._step = 0
        self._metrics: dict[str, float] = {}
        # The step in progress; the model may have applied a part of it.
        self._open: int | None = None
        # The error that lost the model; the loop restores it before it continues.
        self._loss: TinkexError | None = None
        self._wants_checkpoint = False
        self._promised: list[Future[Any]] = []

    @property
    def step(self) -> int:
        """Return the number of completed steps."""
        return self._step

    @property
    def seed(self) -> int:
        """Return the seed, given or drawn."""
        return int(self._record.settings["seed"])

    @property
    def checkpoints(self) -> tuple[RunCheckpoint, ...]:
        """Return the checkpoints that can be restored, oldest first."""
        return self._record.checkpoints

    def steps(self, total: int) -> Iterator[Step]:
        """Yield the remaining steps up to `total`, starting with `Step` 0.

        A step is complete when its ``with`` block ends without an error, or, without such a block, when
        the next step is requested. The run is saved after the last one. For a complete run, the same
        program has no steps left; a larger `total` continues it.

        Args:
            total: Total number of steps, including those of earlier processes.

        Raises:
            TinkexError: The model was lost more often than the policy allows.
            CheckpointError: None of the run's checkpoints is left on the server, or its file
                cannot be written.
        """
        checked_count(total, "total", 0)
        if self._open is not None:
            # An earlier loop was left during a step.
            self._go_back()
        while True:
            if self._loss is not None:
                self._recover(self._loss)
            elif self._is_due(total):
                self._save_or_lose()
            elif self._step >= total:
                return
            else:
                step = Step.of(self._step, self, self.seed)
                self._open = int(step)
                yield step
                self._step_over(step, None)

    def record(self, **metrics: float) -> None:
        """Store numbers with the next checkpoint, such as the loss.

        >>> with resumable("runs/mine", service, base_model="tinkex/nano") as run:
        ...     for step in run.steps(2):
        ...         with step:
        ...             gradients, update = run.training.train_step(data, "cross_entropy")
        ...             run.record(loss=gradients.result().loss)

        They are also stored as the checkpoint's metadata on the server, where
        ``RecoveryPolicy(checkpoint="best", metric="loss")`` finds them.
        """
        for name, value in metrics.items():
            if isinstance(value, bool) or not isinstance(value, int | float):
                try:
                    value = float(value)  # noqa: PLW2901 - a numpy scalar
                except (TypeError, ValueError):
                    raise ValidationError(f"must be a number, not {value!r}", path=name) from None
            self._metrics[name] = float(value)

    def checkpoint(self) -> None:
        """Save the run now, or at the end of the current step.

        Raises:
            TinkexError: It could not be saved; earlier checkpoints are kept.
        """
        if self._open is not None or self._loss is not None:
            self._wants_checkpoint = True
        elif self._step > self._record.step:
            self._save()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as opened:
            opened.enter_context(held(self.folder))
            self._record = self._load_record()
            self._go_back()
            self.resumed_from = self._step if self._record.checkpoints else None
            self._exit = opened.pop_all()
        return self

    def __exit__(self, kind: object, error: BaseException | None, traceback: object) -> None:
        with self._exit:
            is_whole = self._open is None and self._loss is None
            if error is None and is_whole and self._step > self._record.step:
                self._save()

    def _load_record(self) -> RunRecord:
        """Return the run's record from the folder; write the initial one for a new run."""
        kept = read_run(self.folder)
        if kept is not None:
            check_same(kept.settings, self._settings, self.folder)
            return kept
        if self._settings["base_model"] is None and self._settings["start_from"] is None:
            raise ValidationError("is required for a new run", path="base_model")
        if self._settings["start_from"] is not None:
            check_training_path(self._settings["start_from"])
        settings = dict(self._settings)
        if settings["seed"] is None:
            settings["seed"] = secrets.randbelow(2**31)
        record = RunRecord(settings=settings, server=self.service.config.base_url)
        write_run(self.folder, record)
        return record

    def _go_back(self) -> str | None:
        """Restore model, step, state and metrics from the newest checkpoint.

        Returns:
            The checkpoint's path, or None for the initial state.
        """
        training, checkpoint = start_or_resume(
            self.service, self._record, self._user_metadata, self.folder
        )
        if self._client is None:
            self.training = self._client = RunTrainingClient(
                training, self._patience, self._promised.append
            )
        else:
            self._client.become(training)
        if checkpoint is not None:
            # Later checkpoints are gone, so the next ones are due at their original steps.
            self._record = self._record.up_to(checkpoint.step)
        self._open = self._loss = None
        self._promised.clear()
        self._step = checkpoint.step if checkpoint else 0
        self._metrics = dict(checkpoint.metrics) if checkpoint else {}
        # In place, since the program may hold a reference to the dict.
        self.state.clear()
        self.state.update(checked_state(checkpoint.state) if checkpoint else {})
        return checkpoint.path if checkpoint else None

    def _recover(self, error: TinkexError) -> None:
        """Restore the newest checkpoint, within the policy's limits."""
        lost = self.training.model_id
        last = self._record.checkpoints[-1].path if self._record.checkpoints else None
        emit(RecoveryDetected(run_id=lost, reason=described(error), checkpoint=last))
        while True:
            self._attempts.begin(lost, self._step, error)
            try:
                path = self._go_back()
            except TinkexError as failure:
                self._attempts.failed(lost, failure)
                if not (is_loss(failure, self.training) or is_repeatable(failure)):
                    self._attempts.give_up(lost, failure)
                error = failure
            else:
                self._attempts.succeeded(lost, self.training, path)
                return

    def _step_over(self, step: int, error: BaseException | None) -> bool:
        """Handle a step's end; return whether its error is handled."""
        if self._open != step:
            return False
        if error is None:
            self._open = None
            self._step = step + 1
            # Done futures hold results, which may be large.
            self._promised[:] = [
                one for one in self._promised if not one.done() or one.has_unread_error
            ]
            return False
        if isinstance(error, TinkexError) and self._is_loss(error):
            self._open, self._loss = None, error
            return True
        return False

    def _is_due(self, total: int) -> bool:
        unsaved = self._step - self._record.step
        if unsaved <= 0:
            return False
        return self._wants_checkpoint or unsaved >= self._every or self._step >= total

    def _save_or_lose(self) -> None:
        try:
            self._save()
        except TinkexError as error:
            if not self._is_loss(error):
                raise
            self._loss = error

    def _is_loss(self, error: TinkexError) -> bool:
        return self._patience.is_partly_applied(error) or is_loss(error, self.training)

    def _save(self) -> None:
        """Save on the server, then update the file, and only then delete old checkpoints."""
        self._look_at_results()
        state, metrics = checked_state(self.state), dict(self._metrics)
        saved = self.training.save_state(
            f"step-{self._step:07d}",
            None if self._ttl is None else math.ceil(self._ttl.total_seconds()),
            user_metadata={"step": str(self._step), **{k: repr(v) for k, v in metrics.items()}},
        ).result()
        if not saved.path:
            raise DecodeError("save_state returned no path")
        entry = RunCheckpoint.saved_now(self._step, saved.path, self._ttl, metrics, state)
        before = self._record.checkpoints
        record = self._record.with_checkpoint(entry)
        record = evolve(record, checkpoints=record.checkpoints[-self._keep_last :])
        write_run(self.folder, record)
        self._record = record
        self._wants_checkpoint = False
        self._delete({one.path for one in before} - {one.path for one in record.checkpoints})

    def _look_at_results(self) -> None:
        """Raise the error of a request that no caller has read: its step did not happen."""
        promised, self._promised[:] = list(self._promised), []
        for future in promised:
            is_open = not future.done() or future.has_unread_error
            if is_open and (error := future.exception()) is not None:
                raise error

    def _delete(self, paths: set[str]) -> None:
        rest = self.service.create_rest_client()
        for path in sorted(paths):
            try:
                rest.delete_checkpoint(path)
            except TinkexError as error:
                # It only costs storage until it expires.
                log.warning(
                    "checkpoint %s is no longer needed, but could not be deleted: %s", path, error
                )
