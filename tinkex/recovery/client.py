"""The training client of a resumable run."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

from tinkex.training import TrainingClient

if TYPE_CHECKING:
    from tinkex._core.futures import Future
    from tinkex._core.polling import Work
    from tinkex._core.queue_state import QueueObserver
    from tinkex.recovery.patience import Patience

T = TypeVar("T")


class RunTrainingClient(TrainingClient):
    """A training client whose calls are repeated, and whose model can be replaced.

    Args:
        made: The client that created the model; request numbers continue from there.
        patience: Repeats calls.
        note: Called with the future of each request.
    """

    def __init__(
        self, made: TrainingClient, patience: Patience, note: Callable[[Future[Any]], object]
    ) -> None:
        super().__init__(made._session, made.model_id, made.base_model)
        self._queue = made._queue
        self._patience = patience
        self._note = note

    def become(self, other: TrainingClient) -> None:
        """Continue with another client's model, for all holders of this client.

        The previous model is unloaded, if it is in the same session.
        """
        with self._queue.turn():
            self._queue.close()
            before = TrainingClient(self._session, self.model_id)
            self._session, self._queue = other._session, other._queue
            self.model_id, self.base_model = other.model_id, other.base_model
        if before._session is self._session:
            before.discard()

    def _sent(self, send: Callable[[], Work[T]]) -> Work[T]:
        return self._patience.followed(self._patience.submitted(self._queue, send))

    def _promised(self, work: Work[T], operation: str, observer: QueueObserver | None) -> Future[T]:
        promised = super()._promised(work, operation, observer)
        self._note(promised)
        return promised
