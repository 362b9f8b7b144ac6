"""The order of one model's requests: by `seq_id`, without gaps, each number used once."""

import logging
import threading
import time
from collections.abc import Callable

from tinkex.local.engine_thread import Job
from tinkex.local.problem import Problem

logger = logging.getLogger("tinkex.local.sequence_queue")

FIRST_SEQ_ID = 1


class SequenceQueue:
    """A queue of a model's requests by number: it delays early ones, recognises repeats, and refuses reused numbers.

    Clients differ in what follows a request that the server refused: some send the next request
    under the same number, others (the official one) under the next. Both run: a refused number is
    skipped as soon as a later one arrives, and may still be used afterwards. A number that never
    arrives, because a client gave up its request without sending it, is skipped by `skip_gap`.

    A request without a number (clients from before sequence numbers) takes its turn on arrival.
    """

    def __init__(
        self, enqueue: Callable[[Job], None], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._enqueue = enqueue
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._next = FIRST_SEQ_ID
        self._used: dict[int, tuple[bytes, str]] = {}
        self._held: dict[int, Job] = {}
        self._refused: set[int] = set()
        # Since when something has been held back behind the same gap.
        self._gap_since: float | None = None

    def submit(self, seq_id: int | None, digest: bytes, make: Callable[[], Job]) -> str:
        """Enter a request and return its request id.

        `make` is called only for a request that is new; if it raises, the number stays unused. A
        number that was used for another payload is a 409 problem.
        """
        if seq_id is not None and seq_id < FIRST_SEQ_ID:
            raise Problem(409, f"sequence number {seq_id} belongs to the creation of the model")
        with self._lock:
            if seq_id is not None and (used := self._used.get(seq_id)) is not None:
                if used[0] != digest:
                    raise Problem(
                        409, f"sequence number {seq_id} was already used for a different request"
                    )
                return used[1]
            job = make()
            if seq_id is None:
                self._enqueue(job)
                return job.promise.request_id
            self._used[seq_id] = (digest, job.promise.request_id)
            self._refused.discard(seq_id)
            if seq_id < self._next:
                # It was refused and skipped; what followed it is in the queue.
                self._enqueue(job)
                return job.promise.request_id
            self._held[seq_id] = job
            job.promise.waits_for = lambda: self._missing(seq_id)
            self._release()
            return job.promise.request_id

    def refuse(self, seq_id: int) -> None:
        """Note that the request under a number was refused, so that later ones need not wait."""
        with self._lock:
            if seq_id >= self._next and seq_id not in self._used:
                self._refused.add(seq_id)
                self._release()

    def skip_gap(self, after_s: float) -> None:
        """Release what has been held back for so long behind numbers that have not arrived.

        Clients send a request only when those before it were accepted or given up, so what is still
        missing will not come.
        """
        with self._lock:
            if self._gap_since is None or self._monotonic() - self._gap_since < after_s:
                return
            first = min(self._held)
            logger.warning(
                "seq_id %d to %d of a model never arrived; later requests continue without them",
                self._next,
                first - 1,
            )
            self._next = first
            self._release()

    def close(self) -> list[Job]:
        """Take out and return the jobs whose turn never came."""
        with self._lock:
            held, self._held = list(self._held.values()), {}
        return held

    def _release(self) -> None:
        """Enqueue what has its turn.

        Called under the lock: two threads must not swap the order of what they release.
        """
        before = self._next
        while self._held:
            ready = self._held.pop(self._next, None)
            if ready is not None:
                self._enqueue(ready)
            elif self._next not in self._refused:
                break
            self._next += 1
        if not self._held:
            self._gap_since = None
        elif self._gap_since is None or self._next != before:
            self._gap_since = self._monotonic()

    def _missing(self, seq_id: int) -> str | None:
        with self._lock:
            if seq_id < self._next:
                return None
            return f"waiting for seq_id {self._next} of this model, which has not arrived"
