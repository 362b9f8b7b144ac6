"""Results that are still being made: waiting, giving up, waiting again, and waiting for many."""

from __future__ import annotations

import concurrent.futures
import logging
import pickle
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.calls import held
from support.clock import FakeClock
from support.scripted import Script
from support.steps import Steps
from tinkex_generated.models import OptimStepResponse

import tinkex
from tinkex.background import FuturePool
from tinkex.errors import FutureTimeoutError, RequestFailedError, TinkexError
from tinkex.futures import Future, as_completed, wait
from tinkex.limits import ByteBudget
from tinkex.polling import Done, Promise
from tinkex.transport import Transport
from tinkex.work import PromisedWork

POLL = "POST retrieve_future"
RESULT = {"metrics": {"x": 1.0}}
TRY_AGAIN = {"type": "try_again", "request_id": "r-1", "queue_state": "active"}


@pytest.fixture
def pool(clock: FakeClock) -> Iterator[FuturePool]:
    pool = FuturePool(max_threads=4, clock=clock)
    yield pool
    pool.close()


Make = Callable[..., Future[Any]]


@pytest.fixture
def make(clock: FakeClock, pool: FuturePool) -> Make:
    def make(*items: Any) -> Future[Any]:
        return Future(
            Steps(list(items)), operation="optim_step", clock=clock, background=pool, session_id="S"
        )

    return make


@pytest.fixture
def polled(transport: Transport, clock: FakeClock, pool: FuturePool) -> Future[Any]:
    """Return a future of one real promise."""
    promise = Promise(
        transport=transport, request_id="r-1", request_type="OptimStep",
        parse=OptimStepResponse.from_dict, response_bytes=ByteBudget(),
    )  # fmt: skip
    work = PromisedWork([promise], lambda results: results[0])
    return Future(work, operation="optim_step", clock=clock, background=pool, session_id="S")


# One future


def test_a_result_is_waited_for_on_the_callers_thread(make: Make, pool, clock: FakeClock) -> None:
    """No thread is begun for a caller who waits."""
    future = make(1.0, 2.0, Done("value"))
    assert future.result() == "value"
    assert future.result() == "value"
    assert future.exception() is None
    assert future.done()
    assert clock.slept == [1.0, 2.0]
    assert pool.threads == 0


def test_an_error_is_raised_each_time_it_is_asked_for(make: Make) -> None:
    """The error is the result, with the session it happened in."""
    future = make(RequestFailedError("it failed", request_id="r"))
    for _ in range(2):
        with pytest.raises(RequestFailedError, match="it failed"):
            future.result()
    error = future.exception()
    assert isinstance(error, RequestFailedError)
    assert (error.session_id, error.request_id) == ("S", "r")


def test_a_program_error_in_the_work_reaches_the_caller(make: Make) -> None:
    """Whoever asks for the result learns why there is none."""
    with pytest.raises(ZeroDivisionError):
        make(lambda: 1 / 0).result()


@pytest.mark.holds("F27")
def test_a_wait_that_gives_up_says_what_it_knows_and_leaves_the_future_valid(
    polled: Future[Any], script: Script, clock: FakeClock
) -> None:
    """The error is telling, nothing is sent after it, and a second wait succeeds (F27, C33)."""
    script.on(POLL, *[held(clock, 2, {**TRY_AGAIN, "queue_state": "paused_capacity"})] * 3, RESULT)
    with pytest.raises(FutureTimeoutError) as caught:
        polled.result(timeout=5)
    error = caught.value
    assert "waited 5 s for optim_step" in str(error)
    assert "pending, paused_capacity" in str(error)
    assert "still valid" in str(error)
    assert (error.request_id, error.session_id) == ("r-1", "S")
    assert isinstance(error, TimeoutError)
    sent = len(script.received)
    clock.advance(600)
    assert len(script.received) == sent
    assert not polled.settled
    assert polled.result(timeout=5).metrics == {"x": 1.0}


def test_a_wait_gives_up_on_time(make: Make, clock: FakeClock) -> None:
    """A long pause is cut where the wait ends."""
    future = make(100.0, Done(1))
    began = clock.now()
    with pytest.raises(FutureTimeoutError):
        future.exception(timeout=3)
    assert clock.now() - began == 3
    assert future._work.patience == [3.0]


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_look_without_waiting_gets_the_future_going(make: Make, clock, timeout: float) -> None:
    """A loop of looks ends at last, as a background thread fetches meanwhile."""
    future = make(0.5, Done("value"))
    with pytest.raises(FutureTimeoutError):
        future.result(timeout)
    clock.run_until(lambda: future.settled)
    assert future.result(timeout) == "value"


def test_a_server_that_asked_for_a_pause_gets_it_from_everybody(
    make: Make, clock: FakeClock
) -> None:
    """A second wait does not ask before the time that the server gave to the first."""
    future = make(10.0, Done("value"))
    with pytest.raises(FutureTimeoutError):
        future.result(timeout=4)
    assert future.step() == 6.0
    assert future.result() == "value"
    assert clock.slept == [4.0, 6.0]
    assert len(future._work.patience) == 2


def test_two_threads_that_wait_poll_once_at_a_time(make: Make) -> None:
    """While one polls, the other waits for what it brings."""
    polling, finish, overlaps = threading.Event(), threading.Event(), []
    active = threading.Semaphore(1)

    def poll() -> Done[str]:
        overlaps.append(not active.acquire(blocking=False))
        polling.set()
        finish.wait(5)
        active.release()
        return Done("value")

    future = make(poll)
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        results = [threads.submit(future.result) for _ in range(8)]
        assert polling.wait(5)
        finish.set()
        assert [result.result(5) for result in results] == ["value"] * 8
    assert overlaps == [False]


@pytest.mark.holds("F28")
def test_an_interrupted_wait_leaves_the_future_valid(make: Make) -> None:
    """Ctrl-C during a poll or a pause loses nothing (F28)."""
    future = make(KeyboardInterrupt(), Done("value"))
    with pytest.raises(KeyboardInterrupt):
        future.result()
    assert not future.settled
    assert future.result() == "value"


def test_an_interrupted_poll_can_be_waited_for_again(polled: Future[Any], script: Script) -> None:
    """The interrupt may come at any place of the exchange."""

    def interrupt(request: Any) -> None:
        raise KeyboardInterrupt

    script.on(POLL, interrupt, RESULT)
    with pytest.raises(KeyboardInterrupt):
        polled.result()
    assert polled.result().metrics == {"x": 1.0}


def test_work_at_the_server_cannot_be_called_back(make: Make) -> None:
    """cancel says no, as it does for anything that runs."""
    future = make(Done(1))
    assert not future.cancel()
    assert future.running()


def test_a_future_says_how_it_is_doing(
    polled: Future[Any], script: Script, clock: FakeClock
) -> None:
    """repr, request_id and queue state tell people and programs."""
    assert repr(polled) == "<Future optim_step r-1: pending, queue unknown>"
    assert polled.submitted_at == clock.now()
    script.on(
        POLL,
        {**TRY_AGAIN, "queue_state": "paused_rate_limit", "queue_state_reason": "busy"},
        RESULT,
    )
    polled.step()
    assert repr(polled) == "<Future optim_step r-1: pending, queue paused_rate_limit>"
    assert (polled.queue_state, polled.queue_state_reason) == ("paused_rate_limit", "busy")
    polled.result()
    assert repr(polled) == "<Future optim_step r-1: done>"


def test_a_future_of_unsent_work_says_so(make: Make) -> None:
    """A sample that waits for its turn has no id yet."""
    future = make(0.0)
    assert repr(future) == "<Future optim_step not sent yet: pending, queue unknown>"
    assert (future.request_id, future.queue_state_reason) == (None, None)


def test_a_future_cannot_be_pickled(make: Make) -> None:
    """Connections stay in their process; the message says what to send."""
    with pytest.raises(TypeError, match="send its result instead"):
        pickle.dumps(make(Done(1)))


# The narration


def test_a_long_wait_is_told_at_growing_intervals(
    polled: Future[Any], script: Script, clock: FakeClock, caplog
) -> None:
    """Lines come after 5, 15 and 60 s and then each minute, with what was last heard."""

    def hold(request: Any) -> Any:
        clock.advance(min(20.0, float(request.headers["x-stainless-read-timeout"])))
        return TRY_AGAIN if clock.now() < 1250 else RESULT

    script.on(POLL, hold)
    with caplog.at_level(logging.INFO, logger="tinkex.futures"):
        polled.result()
    assert [message.partition(" since ")[2] for message in caplog.messages] == [
        f"{seconds} s; last heard: pending, active, 0.0 s ago"
        for seconds in (5, 15, 60, 120, 180, 240)
    ]
    assert "optim_step r-1" in caplog.text


def test_polls_are_not_cut_short_for_lines_that_nobody_reads(
    polled: Future[Any], script: Script, clock: FakeClock
) -> None:
    """A cut poll costs a connection, so without a log there is none."""
    logging.getLogger("tinkex.futures").setLevel(logging.WARNING)
    try:
        script.on(POLL, held(clock, 44, TRY_AGAIN), RESULT)
        polled.result()
    finally:
        logging.getLogger("tinkex.futures").setLevel(logging.NOTSET)
    assert {got.headers["x-stainless-read-timeout"] for got in script.received} == {"45.000"}


# Callbacks and many futures


def test_done_lets_a_background_thread_fetch(make: Make, clock: FakeClock) -> None:
    """A loop on done() ends; `settled` alone starts nothing."""
    future = make(1.0, Done("value"))
    assert not future.settled
    assert future._work.patience == []
    assert not future.done()
    clock.run_until(lambda: future.settled)
    assert future.done()


def test_a_callback_comes_without_anybody_waiting(make: Make, clock: FakeClock) -> None:
    """A background thread fetches, and calls once with the future."""
    future, called = make(1.0, Done("value")), []
    future.add_done_callback(called.append)
    clock.run_until(lambda: bool(called))
    assert called == [future]
    future.add_done_callback(called.append)
    assert called == [future, future]


def test_a_callback_may_ask_for_the_result(make: Make, clock: FakeClock) -> None:
    """The result is there when the callback comes."""
    results: list[Any] = []
    make(1.0, Done("value")).add_done_callback(lambda future: results.append(future.result()))
    clock.run_until(lambda: bool(results))
    assert results == ["value"]


@pytest.mark.parametrize("waiting", [wait, concurrent.futures.wait, tinkex.wait])
def test_waiting_for_several_works_as_in_the_standard_library(make: Make, waiting) -> None:
    """Own and standard function take these futures and fetch them."""
    futures = [make(0.0, Done(i)) for i in range(20)]
    done, pending = waiting(futures, timeout=10)
    assert done == set(futures)
    assert not pending


@pytest.mark.parametrize(
    "completed", [as_completed, concurrent.futures.as_completed, tinkex.as_completed]
)
def test_futures_come_as_they_are_done(make: Make, completed) -> None:
    """Both functions yield each future once, errors included."""
    futures = [make(0.0, Done(i)) for i in range(20)] + [make(TinkexError("x"))]
    assert set(completed(futures, timeout=10)) == set(futures)


@pytest.mark.parametrize("waiting", [wait, concurrent.futures.wait])
@pytest.mark.parametrize(
    "when", [concurrent.futures.FIRST_COMPLETED, concurrent.futures.FIRST_EXCEPTION]
)
def test_a_wait_may_end_at_the_first(make: Make, waiting, when: str) -> None:
    """return_when means what it means elsewhere."""
    good, bad, never = make(Done(1)), make(ValueError("x")), make(1e6)
    first = bad if when == concurrent.futures.FIRST_EXCEPTION else good
    done, pending = waiting([first, never], timeout=10, return_when=when)
    assert (done, pending) == ({first}, {never})


def test_a_wait_that_ends_early_returns_what_is_pending(make: Make) -> None:
    """A time-out of `wait` is no error; one of `as_completed` is a TimeoutError."""
    never = make(1e6)
    assert wait([never], timeout=0.01) == (set(), {never})
    with pytest.raises(TimeoutError):
        list(as_completed([never], timeout=0.01))


def test_waits_from_many_threads_do_not_lock_each_other_out(clock: FakeClock) -> None:
    """`wait` holds the locks of its futures while it makes the pool watch them, and so does nobody else."""
    pool = FuturePool(max_threads=3, clock=clock)
    futures = [
        Future(Steps([0.0, 0.0, Done(i)]), operation="x", clock=clock, background=pool)
        for i in range(300)
    ]
    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        waits = [threads.submit(concurrent.futures.wait, futures[i::3], 30) for i in range(6)]
        assert all(not waited.result(30).not_done for waited in waits)
    pool.close()


# Several promises in one


@pytest.mark.holds("F26")
def test_the_parts_of_a_batch_are_combined_in_their_order(
    transport, clock, pool, script: Script
) -> None:
    """Polls go from part to part; parts whose result came at once need none (F26)."""
    script.on(POLL, lambda got: {"metrics": {"n": float(got.read().count(b"r-2") + 1)}})

    def promise(name: str) -> Promise[Any]:
        return Promise(
            transport=transport, request_id=name, request_type="ForwardBackward",
            parse=lambda body: body["metrics"]["n"], response_bytes=ByteBudget(),
        )  # fmt: skip

    work = PromisedWork([Done(0.0), promise("r-1"), Done(1.5), promise("r-2"), Done(3.0)], list)
    future = Future(work, operation="x", clock=clock, background=pool)
    assert future.request_id == "r-1"
    assert future.result() == [0.0, 1.0, 1.5, 2.0, 3.0]
    assert future.request_id == "r-2"
    assert PromisedWork([Done(1)], list).promise is None


@pytest.mark.holds("F26")
def test_the_error_of_a_batch_names_the_part(transport, clock, pool, script: Script) -> None:
    """People see which part failed (F26)."""
    script.on(POLL, RESULT, {"error": "bad", "category": "user"})
    parts = [
        Promise(
            transport=transport, request_id=f"r-{i}", request_type="ForwardBackward", parse=dict,
            response_bytes=ByteBudget(),
        )
        for i in range(3)
    ]  # fmt: skip
    future = Future(PromisedWork(parts, list), operation="x", clock=clock, background=pool)
    with pytest.raises(
        RequestFailedError, match="part 2 of 3 of the batch: ForwardBackward failed: bad"
    ):
        future.result()
