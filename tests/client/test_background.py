"""A few threads for many futures."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.clock import FakeClock
from support.steps import Steps

from tinkex.background import CROWDED_PATIENCE, FuturePool
from tinkex.futures import PATIENT, Future
from tinkex.polling import Done

MakePool = Callable[..., FuturePool]


@pytest.fixture
def make_pool(clock: FakeClock) -> Iterator[MakePool]:
    """Return a function that makes a pool, and hold that closing it ends its threads."""
    pools: list[FuturePool] = []

    def make(max_threads: int = 4, **settings: Any) -> FuturePool:
        pools.append(FuturePool(max_threads, clock, **settings))
        return pools[-1]

    yield make
    for pool in pools:
        pool.close()
        clock.run_until(lambda pool=pool: pool.threads == 0)


def watched(pool: FuturePool, clock: FakeClock, *items: Any) -> Future[Any]:
    future: Future[Any] = Future(Steps(list(items)), operation="x", clock=clock, background=pool)
    pool.watch(future)
    return future


@pytest.mark.holds("F43")
def test_thousands_of_futures_share_a_few_threads(make_pool: MakePool, clock: FakeClock) -> None:
    """Each future gets its turn, and no more threads step than there may be (F43)."""
    pool = make_pool(max_threads=8)
    stepping: set[int] = set()

    def note() -> float:
        stepping.add(threading.get_ident())
        return 0.0

    futures = [watched(pool, clock, note, note, Done(i)) for i in range(3000)]
    clock.run_until(lambda: all(future.settled for future in futures))
    assert [future.result() for future in futures] == list(range(3000))
    assert len(stepping) <= 8
    assert pool.threads <= 8


def test_threads_come_with_the_work_and_go_when_there_is_none(
    make_pool: MakePool, clock: FakeClock
) -> None:
    """An idle pool holds no thread, and works again afterwards."""
    pool = make_pool(idle_seconds=3.0)
    assert pool.threads == 0
    for _ in range(2):
        future = watched(pool, clock, 1.0, Done(1))
        assert pool.threads == 1
        clock.run_until(lambda future=future: future.settled)
        clock.run_until(lambda: pool.threads == 0)


def test_one_future_takes_one_thread(make_pool: MakePool, clock: FakeClock) -> None:
    """Step after step is done by the thread that is there."""
    pool = make_pool()
    most = []
    future = watched(pool, clock, *[lambda: most.append(pool.threads) or 0.1] * 30, Done(1))
    clock.run_until(lambda: future.settled)
    assert max(most) == 1


def test_no_future_waits_for_anothers_poll_while_there_are_threads(
    make_pool: MakePool, clock: FakeClock
) -> None:
    """Futures that are watched one right after the other are all stepped at once."""
    pool = make_pool(max_threads=4)
    settled = watched(pool, clock, Done(0))
    clock.run_until(lambda: settled.settled)
    all_here = threading.Barrier(4, timeout=10)
    futures = [watched(pool, clock, lambda: all_here.wait() and 0.0, Done(i)) for i in range(4)]
    clock.run_until(lambda: all(future.settled for future in futures))
    assert not all_here.broken


def test_a_pause_is_kept_and_holds_up_nobody_else(make_pool: MakePool, clock: FakeClock) -> None:
    """While one future rests the thread serves the others, and comes back when it is time."""
    pool = make_pool(max_threads=1)
    times: list[float] = []
    resting = watched(pool, clock, 20.0, lambda: times.append(clock.now()) or Done(1))
    began = clock.now()
    others = [watched(pool, clock, 0.0, Done(i)) for i in range(50)]
    clock.run_until(lambda: all(other.settled for other in others), step=1)
    assert not resting.settled
    clock.run_until(lambda: resting.settled)
    assert times[0] >= began + 20


def test_many_resting_futures_are_all_woken(make_pool: MakePool, clock: FakeClock) -> None:
    """Threads that end meanwhile leave somebody to watch the time."""
    pool = make_pool(max_threads=3, idle_seconds=5.0)
    futures = [watched(pool, clock, 100.0 + i, Done(i)) for i in range(6)]
    clock.run_until(lambda: all(future.settled for future in futures), step=200)


def test_a_future_is_in_the_pool_once(make_pool: MakePool, clock: FakeClock) -> None:
    """Watching it again and again makes no second poll."""
    pool = make_pool()
    future = watched(pool, clock, 1.0, Done(1))
    for _ in range(10):
        pool.watch(future)
        assert not future.done()
    clock.run_until(lambda: future.settled)
    assert len(future._work.patience) == 2


def test_polls_are_held_long_unless_others_wait_for_a_thread(
    make_pool: MakePool, clock: FakeClock
) -> None:
    """With more futures than threads each poll gives way soon; with few it may be held."""
    pool = make_pool(max_threads=2)
    gate = threading.Event()
    first = watched(pool, clock, lambda: gate.wait(10) and 0.0, Done(0))
    second = watched(pool, clock, lambda: gate.wait(10) and 0.0, Done(0))
    clock.run_until(lambda: len(second._work.patience) == 1)
    crowd = [watched(pool, clock, 0.0, Done(i)) for i in range(20)]
    gate.set()
    clock.run_until(lambda: all(future.settled for future in [first, second, *crowd]))
    assert first._work.patience[0] == second._work.patience[0] == PATIENT
    assert crowd[0]._work.patience[0] == CROWDED_PATIENCE


def test_a_future_that_another_thread_steps_is_looked_at_later(
    make_pool: MakePool, clock: FakeClock
) -> None:
    """The pool neither waits for the other thread nor forgets the future."""
    pool = make_pool()
    entered, leave = threading.Event(), threading.Event()

    def wait_inside() -> float:
        entered.set()
        leave.wait(10)
        return 0.0

    future: Future[Any] = Future(
        Steps([wait_inside, Done("value")]), operation="x", clock=clock, background=pool
    )
    other = threading.Thread(target=future.step)
    other.start()
    assert entered.wait(10)
    pool.watch(future)
    leave.set()
    other.join()
    clock.run_until(lambda: future.settled)
    assert future.result() == "value"


def test_a_failed_future_leaves_the_pool_well(make_pool: MakePool, clock: FakeClock) -> None:
    """An error belongs to its future alone."""
    pool = make_pool(max_threads=1)
    bad = watched(pool, clock, ValueError("bad"))
    good = watched(pool, clock, Done("good"))
    clock.run_until(lambda: good.settled and bad.settled)
    assert isinstance(bad.exception(), ValueError)
    assert good.result() == "good"


def test_closing_stops_and_frees_what_was_held(make_pool: MakePool, clock: FakeClock) -> None:
    """Futures stay as they are, nothing is stepped any more, and places in flight are free."""
    pool = make_pool()
    resting = watched(pool, clock, 50.0, Done(1))
    clock.run_until(lambda: len(resting._work.patience) == 1)
    pool.close()
    pool.close()
    clock.run_until(lambda: pool.threads == 0)
    assert not resting.settled
    assert resting._work.abandoned >= 1
    late = watched(pool, clock, Done(1))
    assert pool.threads == 0
    assert not late.settled


def test_what_is_stepped_while_the_pool_closes_is_freed_too(
    make_pool: MakePool, clock: FakeClock
) -> None:
    """A poll under way ends, and its place is free then."""
    pool = make_pool()
    entered, leave = threading.Event(), threading.Event()
    future = watched(pool, clock, lambda: entered.set() or (leave.wait(10) and 0.0), Done(1))
    assert entered.wait(10)
    pool.close()
    leave.set()
    clock.run_until(lambda: pool.threads == 0)
    assert future._work.abandoned >= 1
    assert len(future._work.patience) == 1


def test_a_callback_that_ends_its_thread_does_not_end_the_pool(
    make_pool: MakePool, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A place for a thread is not lost with the thread."""
    pool = make_pool(max_threads=1)
    ended: list[Any] = []
    monkeypatch.setattr(threading, "excepthook", ended.append)

    class Stop(BaseException):
        pass

    future = watched(pool, clock, 5.0, Done(1))

    def stop(done: Any) -> None:
        raise Stop

    future.add_done_callback(stop)
    clock.run_until(lambda: future.settled)
    clock.run_until(lambda: bool(ended))
    after = watched(pool, clock, Done("after"))
    clock.run_until(lambda: after.settled)
