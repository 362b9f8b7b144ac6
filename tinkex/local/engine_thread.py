"""The one thread that computes: training jobs of all models in fair order, samples in batches.

Every model has a lane of its own; lanes take turns, one job each, and a batch of samples takes a
turn like a lane. Samples of different clients that share a base model run in one batch: whatever
is queued when their turn comes, plus what arrives in a few milliseconds more when the engine has
nothing else to do.
"""

import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import define

from tinkex.local.engine import Adapter, SampleJob, SampleResult
from tinkex.local.futures import Promise

logger = logging.getLogger("tinkex.local.engine_thread")

GATHER_QUIET_S = 0.002
GATHER_MOST_S = 0.010
MOST_SEQUENCES = 256


@define(eq=False)
class Job:
    """One piece of training work: `run` computes the answer of the promise."""

    promise: Promise
    run: Callable[[], Any]


@define(eq=False)
class SampleTicket:
    """One sampling request in the queue of its base model."""

    promise: Promise
    adapter_key: str | None
    adapter_folder: Path | None
    sequences: int
    make: Callable[[Adapter | None], SampleJob]
    finish: Callable[[SampleResult], Any]
    cancelled: bool = False


class EngineThread:
    """The queue in front of the engine, and the thread that works through it.

    `settle` receives every promise with either a value or the exception its job ended with.
    `sample` runs a batch of tickets that share a base model and returns their results in order.
    `begin` is told of every promise whose work is taken up.
    """

    def __init__(
        self,
        settle: Callable[[Promise, Any, BaseException | None], None],
        sample: Callable[[str, Sequence[SampleTicket]], Sequence[SampleResult]],
        begin: Callable[[Promise], None] | None = None,
    ) -> None:
        self._settle = settle
        self._sample = sample
        self._begin = begin or (lambda _: None)
        self._wake = threading.Condition()
        self._lanes: OrderedDict[str, deque[Job]] = OrderedDict()
        self._samples: OrderedDict[str, deque[SampleTicket]] = OrderedDict()
        self._running: list[SampleTicket] = []
        self._samples_turn = True
        self._closing = False
        self._thread = threading.Thread(target=self._work, name="tinkex-local-engine", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def close(self) -> None:
        """Drop what is queued, cut running samples short and end the thread."""
        with self._wake:
            self._closing = True
            for ticket in self._running:
                ticket.cancelled = True
            self._wake.notify()
        if self._thread.ident is not None:
            self._thread.join()

    def put(self, lane: str, job: Job) -> None:
        """Queue a training job behind the others of its model."""
        with self._wake:
            self._lanes.setdefault(lane, deque()).append(job)
            self._wake.notify()

    def put_sample(self, base: str, ticket: SampleTicket) -> None:
        """Queue a sampling request."""
        with self._wake:
            self._samples.setdefault(base, deque()).append(ticket)
            self._wake.notify()

    def drop_lane(self, lane: str) -> list[Job]:
        """Take a model's queued jobs out of the queue and return them."""
        with self._wake:
            return list(self._lanes.pop(lane, ()))

    def _work(self) -> None:
        while True:
            with self._wake:
                while not (self._closing or self._lanes or self._samples):
                    self._wake.wait()
                if self._closing:
                    return
                job = None if self._samples and self._samples_turn else self._next_job()
                self._samples_turn = job is not None
                if job is None:
                    self._gather()
                    base, batch = self._next_batch()
                    self._running = batch
            if job is not None:
                self._run(job)
            elif batch:
                self._run_batch(base, batch)
            # Held no longer than needed: a job keeps the whole payload of its request alive.
            job = None
            batch = []

    def _next_job(self) -> Job | None:
        if not self._lanes:
            return None
        lane, jobs = self._lanes.popitem(last=False)
        job = jobs.popleft()
        if jobs:
            self._lanes[lane] = jobs
        return job

    def _gather(self) -> None:
        """Wait a moment for samples that were sent together but have not all arrived."""
        deadline = time.monotonic() + GATHER_MOST_S
        queued = -1
        while not (self._closing or self._lanes):
            now_queued = sum(len(tickets) for tickets in self._samples.values())
            left = deadline - time.monotonic()
            if now_queued == queued or left <= 0:
                return
            queued = now_queued
            self._wake.wait_for(self._has_training_work, min(GATHER_QUIET_S, left))

    def _has_training_work(self) -> bool:
        return self._closing or bool(self._lanes)

    def _next_batch(self) -> tuple[str, list[SampleTicket]]:
        if not self._samples:
            return "", []
        base, tickets = self._samples.popitem(last=False)
        batch: list[SampleTicket] = []
        sequences = 0
        while tickets and (not batch or sequences + tickets[0].sequences <= MOST_SEQUENCES):
            ticket = tickets.popleft()
            if not ticket.promise.done:
                batch.append(ticket)
                sequences += ticket.sequences
        if tickets:
            self._samples[base] = tickets
        return base, batch

    def _run(self, job: Job) -> None:
        self._begin(job.promise)
        try:
            value = job.run()
        except Exception as error:  # noqa: BLE001 - becomes the result of the promise
            self._settle(job.promise, None, error)
        else:
            self._settle(job.promise, value, None)

    def _run_batch(self, base: str, batch: list[SampleTicket]) -> None:
        for ticket in batch:
            self._begin(ticket.promise)
        try:
            results = self._sample(base, batch)
        except Exception as error:  # noqa: BLE001 - becomes the result of the promises
            if len(batch) == 1:
                self._settle(batch[0].promise, None, error)
                return
            # One bad request must not fail its neighbours: each gets a batch of its own.
            for ticket in batch:
                self._run_batch(base, [ticket])
            return
        for ticket, result in zip(batch, results, strict=True):
            try:
                self._settle(ticket.promise, ticket.finish(result), None)
            except Exception as error:  # noqa: BLE001 - becomes the result of the promise
                self._settle(ticket.promise, None, error)
        with self._wake:
            self._running = []
