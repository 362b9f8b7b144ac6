"""The parts behind the queue, each on its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tinkex.local.database import Database
from tinkex.local.engine import SampledTokens, SampleJob, SampleResult
from tinkex.local.engine_thread import MOST_SEQUENCES, EngineThread, Job, SampleTicket
from tinkex.local.futures import Promise, PromiseBook
from tinkex.local.problem import Problem
from tinkex.local.results import SCHEMA, ResultTable
from tinkex.local.threads import WorkerPool
from tinkex.local.turns import Turns


@pytest.fixture
def book(tmp_path: Path) -> Iterator[PromiseBook]:
    file = Database(tmp_path / "results.sqlite3", SCHEMA)
    results = ResultTable(file, lambda: 0.0, retention_s=3600.0, most_bytes=2**20)
    yield PromiseBook(results, lambda: 0.0)
    file.close()


class Log:
    """What the engine thread was asked to do, in order; it waits to begin until it is let go."""

    def __init__(self) -> None:
        self.done: list[str] = []
        self.batches: list[list[str]] = []
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.settled = threading.Semaphore(0)
        self.engine = EngineThread(self._settle, self._sample)
        self.engine.start()
        self.engine.put("first", Job(promise("blocker"), self._block))
        assert self.begun.wait(30)

    def job(self, name: str) -> Job:
        return Job(promise(name), lambda: name)

    def ticket(self, name: str, sequences: int = 1) -> SampleTicket:
        return SampleTicket(
            promise=promise(name),
            adapter_key=None,
            adapter_folder=None,
            sequences=sequences,
            make=lambda _: SampleJob(np.array([1])),
            finish=lambda _: name,
        )

    def finish(self, count: int) -> list[str]:
        """Let the engine go and return what it did, after `count` more jobs."""
        self.go_on.set()
        for _ in range(count + 1):
            assert self.settled.acquire(timeout=30)
        self.engine.close()
        return self.done[1:]

    def _block(self) -> None:
        self.begun.set()
        assert self.go_on.wait(30)

    def _settle(self, one: Promise, value: Any, error: BaseException | None) -> None:
        self.done.append(one.request_id if error is None else f"{one.request_id}!")
        self.settled.release()

    def _sample(self, base: str, tickets: Any) -> list[SampleResult]:
        names = [ticket.promise.request_id for ticket in tickets]
        self.batches.append(names)
        if "bad" in names:
            raise ValueError("bad")
        return [SampleResult([SampledTokens([], [], "stop")]) for _ in tickets]


def promise(name: str) -> Promise:
    return Promise(request_id=name, session_id=None)


def test_models_take_turns() -> None:
    """A model with many jobs does not keep another one waiting."""
    log = Log()
    for name in ("a1", "a2", "a3"):
        log.engine.put("a", log.job(name))
    for name in ("b1", "b2"):
        log.engine.put("b", log.job(name))
    assert log.finish(5) == ["a1", "b1", "a2", "b2", "a3"]


def test_sampling_and_training_take_turns() -> None:
    """Neither a queue of samples nor one of steps starves the other."""
    log = Log()
    for name in ("a1", "a2"):
        log.engine.put("a", log.job(name))
    log.engine.put_sample("base", log.ticket("s1"))
    log.engine.put_sample("other", log.ticket("t1"))
    assert log.finish(4) == ["s1", "a1", "t1", "a2"]


def test_samples_of_one_base_share_a_batch_up_to_a_limit() -> None:
    """One batch per base, as large as allowed, a larger request alone."""
    log = Log()
    log.engine.put_sample("base", log.ticket("s1"))
    log.engine.put_sample("base", log.ticket("s2", MOST_SEQUENCES - 1))
    log.engine.put_sample("base", log.ticket("s3", MOST_SEQUENCES + 1))
    log.engine.put_sample("base", log.ticket("s4"))
    log.finish(4)
    assert log.batches == [["s1", "s2"], ["s3"], ["s4"]]


def test_a_bad_sample_fails_alone() -> None:
    """The others of its batch are run again without it."""
    log = Log()
    for name in ("s1", "bad", "s2"):
        log.engine.put_sample("base", log.ticket(name))
    assert log.finish(3) == ["s1", "bad!", "s2"]


def test_cancelled_samples_are_not_run() -> None:
    """What was settled while it waited is left out of the batch."""
    log = Log()
    gone = log.ticket("gone")
    gone.promise.done = True
    log.engine.put_sample("base", gone)
    log.engine.put_sample("base", log.ticket("s1"))
    assert log.finish(1) == ["s1"]
    assert log.batches == [["s1"]]


def test_a_dropped_lane_is_not_run() -> None:
    """Jobs of a model that is gone are taken out of the queue."""
    log = Log()
    log.engine.put("a", log.job("a1"))
    log.engine.put("b", log.job("b1"))
    assert [job.promise.request_id for job in log.engine.drop_lane("a")] == ["a1"]
    assert log.finish(1) == ["b1"]


def test_numbers_from_many_threads_come_out_in_order() -> None:
    """However the arrivals interleave, each number is released once and in order."""
    released: list[str] = []
    turns = Turns(lambda job: released.append(job.promise.request_id))
    numbers = np.random.default_rng(0).permutation(np.repeat(np.arange(1, 201), 2)).tolist()

    def submit(number: int) -> str:
        return turns.submit(number, b"x", lambda: Job(promise(str(number)), lambda: None))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(submit, numbers)) == [str(number) for number in numbers]
    assert released == [str(number) for number in range(1, 201)]


def test_a_request_that_cannot_be_made_leaves_its_number_free() -> None:
    """If making a job raises, the number is not used."""
    turns = Turns(lambda job: None)

    def refuse() -> Job:
        raise Problem(409, "no")

    with pytest.raises(Problem):
        turns.submit(1, b"x", refuse)
    assert turns.submit(1, b"y", lambda: Job(promise("p"), lambda: None)) == "p"


def test_only_the_first_result_counts(book: PromiseBook) -> None:
    """A promise that was given up keeps that end."""
    one = book.open("s")
    assert book.settle(one, b"first", failed=True)
    assert not book.settle(one, b"second")
    assert (book.read(one), one.failed) == (b"first", True)


def test_worker_pool_hands_back_values_and_errors() -> None:
    """The awaiting coroutine gets what the call returned or raised."""
    pool = WorkerPool(2)

    async def use() -> int:
        with pytest.raises(ZeroDivisionError):
            await pool.run(lambda: 1 // 0)
        return sum(await asyncio.gather(*(pool.run(lambda n=n: n) for n in range(10))))

    assert asyncio.run(use()) == 45
    pool.close()
