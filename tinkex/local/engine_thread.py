"""The queue in front of the engine: sessions take turns at computing, a slice of time each.

What a session asks for is a training job of one of its models, in the order of each model, or a
batch of samples. Such a piece of work runs in a strand: a thread that computes only while it is the
strand's turn. When its slice is over, the strand stops between two tokens or micro-batches, and the
next session has its turn. So a request that takes minutes delays the others' by a slice.

Samples that share a base model run in one batch: whatever is queued when their turn comes, plus
what arrives in a few milliseconds more when the engine has nothing else to do.
"""

import logging
import queue
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from attrs import define, field

from tinkex.local.engine import Adapter, SampleJob, SampleResult
from tinkex.local.engine.pauses import pausing
from tinkex.local.futures import Promise
from tinkex.local.problem import Problem

logger = logging.getLogger("tinkex.local.engine_thread")

GATHER_QUIET_S = 0.002
GATHER_MOST_S = 0.010
MOST_SEQUENCES = 256
SLICE_S = 0.1
# Work that has begun and waits for its next slice keeps a thread, and caches or activations.
MOST_STRANDS = 32
MOST_LONG_BATCHES = 4
_LONG_TOKENS = 8192
NO_LIMIT = 2**31


@define(eq=False)
class Job:
    """One piece of training work: `run` computes the result of the promise."""

    promise: Promise
    run: Callable[[], Any]


@define(eq=False)
class SampleTicket:
    """One sampling request in the queue of its base model.

    `longest` is how many tokens each of its sequences may get.
    """

    promise: Promise
    adapter_key: str | None
    adapter_folder: Path | None
    sequences: int
    make: Callable[[Adapter | None], SampleJob]
    finish: Callable[[SampleResult], Any]
    longest: int = NO_LIMIT
    cancelled: bool = False


Deliver = Callable[[int, SampleResult], None]


@define(eq=False)
class _Strand:
    """Started work. `work` runs in a separate thread while `running` is true."""

    work: Callable[[], None]
    owner: "_Owner"
    lane: str | None = None
    tickets: Sequence[SampleTicket] = ()
    long: bool = False
    running: bool = False
    done: bool = False
    dropped: bool = False
    until: float = 0.0


@define(eq=False)
class _Owner:
    """The queued and the running work of one session."""

    key: str | None
    lanes: OrderedDict[str, deque[Job]] = field(factory=OrderedDict)
    samples: OrderedDict[str, deque[SampleTicket]] = field(factory=OrderedDict)
    training: _Strand | None = None
    sampling: _Strand | None = None
    samples_turn: bool = True

    @property
    def is_idle(self) -> bool:
        return not (self.lanes or self.samples or self.training or self.sampling)


class EngineThread:
    """The thread that gives out the turns, and the strands that compute.

    `settle` receives every promise with either a value or the exception its job ended with.
    `sample` runs a batch of tickets that share a base model and hands over each result, by the
    ticket's index, as soon as it is there. `begin` receives every promise whose work begins.
    """

    def __init__(
        self,
        settle: Callable[[Promise, Any, BaseException | None], None],
        sample: Callable[[str, Sequence[SampleTicket], Deliver], None],
        begin: Callable[[Promise], None] | None = None,
        *,
        slice_s: float = SLICE_S,
    ) -> None:
        self._settle = settle
        self._sample = sample
        self._begin = begin or (lambda _: None)
        self._slice_s = slice_s
        self._wake = threading.Condition()
        self._owners: OrderedDict[str | None, _Owner] = OrderedDict()
        self._strands: set[_Strand] = set()
        self._closing = False
        self._to_begin: queue.SimpleQueue[_Strand | None] = queue.SimpleQueue()
        self._workers: list[threading.Thread] = []
        self._thread = threading.Thread(target=self._work, name="tinkex-local-engine", daemon=True)

    def start(self) -> None:
        """Start the threads."""
        self._add_worker()
        self._thread.start()

    def close(self) -> None:
        """Drop queued work, interrupt running work and end the threads."""
        with self._wake:
            self._closing = True
            for strand in self._strands:
                for ticket in strand.tickets:
                    ticket.cancelled = True
            self._wake.notify_all()
        if self._thread.ident is not None:
            self._thread.join()
        for _ in self._workers:
            self._to_begin.put(None)
        for worker in self._workers:
            worker.join()

    def put(self, lane: str, job: Job) -> None:
        """Queue a training job behind the others of its model."""
        with self._wake:
            owner = self._owner(job.promise.session_id or lane)
            owner.lanes.setdefault(lane, deque()).append(job)
            self._wake.notify_all()

    def put_sample(self, base: str, ticket: SampleTicket) -> None:
        """Queue a sampling request."""
        with self._wake:
            owner = self._owner(ticket.promise.session_id)
            owner.samples.setdefault(base, deque()).append(ticket)
            self._wake.notify_all()

    def drop_lane(self, lane: str) -> list[Job]:
        """Take a model's queued jobs out of the queue and return them; one that runs is cut short."""
        with self._wake:
            for strand in self._strands:
                strand.dropped = strand.dropped or strand.lane == lane
            return [job for owner in self._owners.values() for job in owner.lanes.pop(lane, ())]

    def _owner(self, key: str | None) -> _Owner:
        if key not in self._owners:
            self._owners[key] = _Owner(key)
        return self._owners[key]

    def _forget_if_idle(self, owner: _Owner) -> None:
        if owner.is_idle and self._owners.get(owner.key) is owner:
            del self._owners[owner.key]

    def _work(self) -> None:
        gathered = False
        while True:
            with self._wake:
                while not self._closing and not any(map(self._sides, self._owners.values())):
                    self._wake.wait()
                if self._closing:
                    return
                if not gathered and self._only_samples_wait():
                    # A moment for samples that were sent together but have not all arrived.
                    self._gather()
                    gathered = True
                    continue
                gathered = False
                strand = self._next_strand()
                if strand is not None:
                    self._give_turn(strand)
            # Held no longer than needed: a job keeps the whole payload of its request alive.
            del strand

    def _sides(self, owner: _Owner) -> list[str]:
        """Return the work that a session could do in a time slice, the most urgent first."""
        sides = []
        if owner.sampling is not None or (owner.samples and self._may_begin(owner)):
            sides.append("sampling")
        if owner.training is not None or (owner.lanes and len(self._strands) < MOST_STRANDS):
            sides.append("training")
        return sides if owner.samples_turn else sides[::-1]

    def _may_begin(self, owner: _Owner) -> bool:
        """Return whether the session's next batch can start next to the running ones."""
        if len(self._strands) >= MOST_STRANDS:
            return False
        if sum(strand.long for strand in self._strands) < MOST_LONG_BATCHES:
            return True
        tickets = next(iter(owner.samples.values()))
        return not _are_long(islice(tickets, MOST_SEQUENCES))

    def _only_samples_wait(self) -> bool:
        return not self._strands and not any(owner.lanes for owner in self._owners.values())

    def _gather(self) -> None:
        deadline = time.monotonic() + GATHER_MOST_S
        queued = -1
        while self._only_samples_wait() and not self._closing:
            now_queued = sum(
                len(tickets)
                for owner in self._owners.values()
                for tickets in owner.samples.values()
            )
            left = deadline - time.monotonic()
            if now_queued == queued or left <= 0:
                return
            queued = now_queued
            self._wake.wait_for(
                lambda: self._closing or not self._only_samples_wait(), min(GATHER_QUIET_S, left)
            )

    def _next_strand(self) -> _Strand | None:
        """Return the strand whose turn it is; start new work if the session has only that."""
        for owner in list(self._owners.values()):
            for side in self._sides(owner):
                self._owners.move_to_end(owner.key)
                owner.samples_turn = side == "training"
                begin = self._begin_batch if side == "sampling" else self._begin_job
                begun = owner.sampling if side == "sampling" else owner.training
                if (strand := begun or begin(owner)) is not None:
                    return strand
            self._forget_if_idle(owner)
        return None

    def _begin_job(self, owner: _Owner) -> _Strand:
        lane, jobs = owner.lanes.popitem(last=False)
        job = jobs.popleft()
        if jobs:
            owner.lanes[lane] = jobs
        strand = owner.training = _Strand(lambda: self._run(job), owner, lane=lane)
        return strand

    def _begin_batch(self, owner: _Owner) -> _Strand | None:
        base = next(iter(owner.samples))
        batch = self._take_tickets(owner, base)
        if not batch:
            return None
        strand = owner.sampling = _Strand(
            lambda: self._run_batch(base, batch),
            owner,
            tickets=batch,
            long=_are_long(batch),
        )
        return strand

    def _take_tickets(self, owner: _Owner, base: str) -> list[SampleTicket]:
        """Return a batch of a session's samples, and of others' that do not make it longer."""
        batch: list[SampleTicket] = []
        sequences = longest = 0
        for other in [owner, *(one for one in self._owners.values() if one is not owner)]:
            tickets = other.samples.pop(base, deque())
            while tickets and (not batch or sequences + tickets[0].sequences <= MOST_SEQUENCES):
                if other is not owner and tickets[0].longest > longest:
                    break
                ticket = tickets.popleft()
                if not ticket.promise.done:
                    batch.append(ticket)
                    sequences += ticket.sequences
                    longest = max(longest, ticket.longest)
            if tickets:
                # Behind the session's other base models.
                other.samples[base] = tickets
        return batch

    def _give_turn(self, strand: _Strand) -> None:
        """Run a strand for one time slice, and wait until it has stopped; called under the lock."""
        strand.until = time.monotonic() + self._slice_s
        strand.running = True
        if strand in self._strands:
            self._wake.notify_all()
        else:
            self._strands.add(strand)
            try:
                if len(self._strands) > len(self._workers):
                    self._add_worker()
            except RuntimeError:
                # The interpreter exits and starts no thread any more: what is left runs here.
                strand.work()
                strand.done, strand.running = True, False
            else:
                self._to_begin.put(strand)
        while strand.running:
            self._wake.wait()
        if strand.done:
            owner = strand.owner
            self._strands.remove(strand)
            if owner.training is strand:
                owner.training = None
            else:
                owner.sampling = None
            self._forget_if_idle(owner)

    def _add_worker(self) -> None:
        worker = threading.Thread(
            target=self._serve, name=f"tinkex-local-strand-{len(self._workers)}", daemon=True
        )
        worker.start()
        self._workers.append(worker)

    def _serve(self) -> None:
        """Compute one strand after the other."""
        while (strand := self._to_begin.get()) is not None:
            try:
                with pausing(_pause_of(self, strand)):
                    strand.work()
            except BaseException:
                logger.exception("a strand of the engine failed")
            finally:
                with self._wake:
                    strand.done, strand.running = True, False
                    # What the work holds goes now, and not with the next strand of this thread.
                    strand.work = _nothing
                    self._wake.notify_all()
            del strand

    def pause(self, strand: _Strand) -> None:
        """Wait for the strand's next turn, once its slice is over; raise if it is to end."""
        with self._wake:
            if strand.running and time.monotonic() >= strand.until:
                strand.running = False
                self._wake.notify_all()
            while not (strand.running or self._closing):
                self._wake.wait()
            if self._closing:
                raise Problem(503, "the local server was stopped")
            # Only in its turn: who gives out the turns waits for a strand that has one.
            if strand.dropped:
                raise Problem(410, "the session of this request has ended")

    def _run(self, job: Job) -> None:
        self._begin(job.promise)
        try:
            value = job.run()
        except Exception as error:  # noqa: BLE001 - becomes the result of the promise
            self._settle(job.promise, None, error)
        else:
            self._settle(job.promise, value, None)

    def _run_batch(self, base: str, batch: Sequence[SampleTicket]) -> None:
        for ticket in batch:
            self._begin(ticket.promise)
        open_tickets = dict(enumerate(batch))

        def deliver(index: int, result: SampleResult) -> None:
            ticket = open_tickets.pop(index)
            try:
                self._settle(ticket.promise, ticket.finish(result), None)
            except Exception as error:  # noqa: BLE001 - becomes the result of the promise
                self._settle(ticket.promise, None, error)

        try:
            self._sample(base, batch, deliver)
        except Exception as error:  # noqa: BLE001 - becomes the result of the promises
            if len(batch) == 1:
                if open_tickets:
                    self._settle(batch[0].promise, None, error)
                return
            # One bad request must not fail the others: each gets a separate batch.
            for ticket in list(open_tickets.values()):
                self._run_batch(base, [ticket])


def _are_long(tickets: Iterable[SampleTicket]) -> bool:
    """Return whether a batch may take many slices, and keep its caches as long."""
    return sum(ticket.sequences * ticket.longest for ticket in tickets) > _LONG_TOKENS


def _pause_of(engine: EngineThread, strand: _Strand) -> Callable[[], None]:
    return lambda: engine.pause(strand)


def _nothing() -> None:
    """Do nothing, in place of completed work."""
