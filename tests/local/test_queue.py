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
from tinkex.local.engine.pauses import pause
from tinkex.local.engine_thread import (
    MOST_LONG_BATCHES,
    MOST_SEQUENCES,
    MOST_STRANDS,
    EngineThread,
    Job,
    SampleTicket,
)
from tinkex.local.futures import Promise, PromiseBook
from tinkex.local.problem import Problem
from tinkex.local.results import SCHEMA, ResultTable
from tinkex.local.sequence_queue import SequenceQueue
from tinkex.local.threads import WorkerPool


@pytest.fixture
def book(tmp_path: Path) -> Iterator[PromiseBook]:
    file = Database(tmp_path / "results.sqlite3", SCHEMA)
    results = ResultTable(file, lambda: 0.0, retention_s=3600.0, most_bytes=2**20)
    yield PromiseBook(results, lambda: 0.0)
    file.close()


class Log:
    """What the engine thread was asked to do, in order; it waits to begin until it is let go."""

    def __init__(self, slice_s: float = 60.0) -> None:
        self.done: list[str] = []
        self.batches: list[list[str]] = []
        self.begun = threading.Event()
        self.go_on = threading.Event()
        self.settled = threading.Semaphore(0)
        self.engine = EngineThread(self._settle, self._sample, slice_s=slice_s)
        self.engine.start()
        self.engine.put("first", Job(promise("blocker"), self._block))
        assert self.begun.wait(30)

    def job(self, name: str, session: str | None = None) -> Job:
        return Job(promise(name, session), lambda: name)

    def long_job(self, name: str, session: str, parts: int = 3) -> Job:
        """Return a job that could stop after each of its parts, which it logs."""

        def run() -> None:
            for part in range(parts):
                self.done.append(f"{name}.{part}")
                pause()

        return Job(promise(name, session), run)

    def ticket(
        self, name: str, sequences: int = 1, session: str | None = None, longest: int = 8
    ) -> SampleTicket:
        return SampleTicket(
            promise=promise(name, session),
            adapter_key=None,
            adapter_folder=None,
            sequences=sequences,
            make=lambda _: SampleJob(np.array([1])),
            finish=lambda _: name,
            longest=longest,
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

    def _sample(self, base: str, tickets: Any, deliver: Any) -> None:
        names = [ticket.promise.request_id for ticket in tickets]
        self.batches.append(names)
        if "bad" in names:
            raise ValueError("bad")
        for index, ticket in enumerate(tickets):
            if ticket.longest > 1_000:
                self.done.append(f"{names[index]}.0")
                pause()
            deliver(index, SampleResult([SampledTokens([], [], "stop")]))


def promise(name: str, session: str | None = None) -> Promise:
    return Promise(request_id=name, session_id=session)


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
    assert log.finish(4) == ["a1", "s1", "a2", "t1"]


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


def test_a_long_job_stops_for_the_other_sessions() -> None:
    """When its slice is over, each of them has a turn before it continues."""
    log = Log(slice_s=0.0)
    log.engine.put("a", log.long_job("a", "A"))
    log.engine.put("b", log.job("b", "B"))
    log.engine.put_sample("base", log.ticket("c", session="C"))
    log.engine.put("d", log.long_job("d", "D", parts=1))
    assert log.finish(4) == ["a.0", "b", "c", "d.0", "a.1", "d", "a.2", "a"]


def test_a_long_job_keeps_its_turn_within_its_slice() -> None:
    """It stops no more often than that, so that work is not torn to pieces."""
    log = Log(slice_s=60.0)
    log.engine.put("a", log.long_job("a", "A"))
    log.engine.put("b", log.job("b", "B"))
    assert log.finish(2) == ["a.0", "a.1", "a.2", "a", "b"]


def test_a_session_has_one_share_however_many_models_it_has() -> None:
    """Ten models of one session get as many turns together as the one of another."""
    log = Log()
    for lane in range(4):
        log.engine.put(f"a{lane}", log.job(f"a{lane}", "A"))
    for name in ("b0", "b1", "b2"):
        log.engine.put("b", log.job(name, "B"))
    assert log.finish(7) == ["a0", "b0", "a1", "b1", "a2", "b2", "a3"]


def test_a_long_batch_stops_for_training_of_its_own_session() -> None:
    """Sampling and training of one session take turns by slices as well."""
    log = Log(slice_s=0.0)
    log.engine.put_sample("base", log.ticket("s", session="A", longest=10_000))
    for name in ("a0", "a1"):
        log.engine.put("a", log.job(name, "A"))
    assert log.finish(3) == ["s.0", "a0", "s", "a1"]


def test_samples_of_others_share_a_batch_that_they_do_not_make_longer() -> None:
    """A short batch takes in no long sample of another session; a long one takes in short ones."""
    log = Log()
    log.engine.put_sample("base", log.ticket("short", session="A", longest=8))
    log.engine.put_sample("base", log.ticket("long", session="B", longest=900))
    log.engine.put_sample("base", log.ticket("shorter", session="C", longest=4))
    log.engine.put_sample("base", log.ticket("last", session="D", longest=500))
    log.finish(4)
    assert log.batches == [["short", "shorter"], ["long", "last"]]


def test_short_samples_pass_when_many_long_batches_have_begun() -> None:
    """Caches of long batches fill the memory, so only some begin; what is short need not wait."""
    log = Log(slice_s=0.0)
    count = MOST_LONG_BATCHES + 2
    for number in range(count):
        ticket = log.ticket(f"s{number}", MOST_SEQUENCES, session=f"{number}", longest=10_000)
        log.engine.put_sample("base", ticket)
    log.engine.put_sample("base", log.ticket("short", session="A"))
    done = log.finish(count + 1)
    begun = [f"s{number}.0" for number in range(count)]
    assert done[: MOST_LONG_BATCHES + 1] == [*begun[:MOST_LONG_BATCHES], "short"]
    assert sorted(done) == sorted([*begun, *(f"s{number}" for number in range(count)), "short"])


def test_more_sessions_than_there_are_strands_are_all_served() -> None:
    """Those that find no strand begin when one is free."""
    log = Log(slice_s=0.0)
    count = MOST_STRANDS + 10
    for number in range(count):
        log.engine.put(f"{number}", log.long_job(f"j{number}", f"{number}"))
    done = log.finish(count)
    assert {f"j{number}" for number in range(count)} <= set(done)


def test_a_session_that_ends_cuts_its_long_job_short() -> None:
    """It is not computed to its end without a reader."""
    log = Log(slice_s=0.0)
    log.engine.put("a", log.long_job("a", "A", parts=1_000_000))
    log.engine.put("b", Job(promise("b", "B"), lambda: log.engine.drop_lane("a")))
    assert log.finish(2) == ["a.0", "b", "a!"]


def test_work_continues_when_no_thread_can_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """As at the exit of the interpreter, while a client still closes its session."""
    log = Log(slice_s=0.0)

    def refuse() -> None:
        raise RuntimeError("can't start new thread at interpreter shutdown")

    monkeypatch.setattr(log.engine, "_add_worker", refuse)
    log.engine.put("a", log.long_job("a", "A"))
    log.engine.put("b", log.long_job("b", "B"))
    assert log.finish(2) == ["a.0", "b.0", "b.1", "b.2", "b", "a.1", "a.2", "a"]


def test_closing_ends_what_has_begun() -> None:
    """Long work, whether it has its turn or waits for it, is cut short; every thread ends."""
    before = set(threading.enumerate())
    log = Log(slice_s=0.0)
    for name in ("a", "b"):
        log.engine.put(name, log.long_job(name, name.upper(), parts=1_000_000))
    log.engine.put_sample("base", log.ticket("s", session="C", longest=10_000))
    log.engine.put("d", log.job("d", "D"))
    log.go_on.set()
    for _ in range(2):
        assert log.settled.acquire(timeout=30)
    log.engine.close()
    assert {"a!", "b!"} <= set(log.done)
    assert set(threading.enumerate()) <= before


def test_numbers_from_many_threads_come_out_in_order() -> None:
    """However the arrivals interleave, each number is released once and in order."""
    released: list[str] = []
    turns = SequenceQueue(lambda job: released.append(job.promise.request_id))
    numbers = np.random.default_rng(0).permutation(np.repeat(np.arange(1, 201), 2)).tolist()

    def submit(number: int) -> str:
        return turns.submit(number, b"x", lambda: Job(promise(str(number)), lambda: None))

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(submit, numbers)) == [str(number) for number in numbers]
    assert released == [str(number) for number in range(1, 201)]


def test_a_request_that_cannot_be_made_leaves_its_number_free() -> None:
    """If making a job raises, the number is not used."""
    turns = SequenceQueue(lambda job: None)

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
