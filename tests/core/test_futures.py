"""Results that are still being made: waiting, giving up, waiting again, and waiting for many."""

from __future__ import annotations

import asyncio
import concurrent.futures
import itertools
import logging
import pickle
import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support import calls
from support.calls import CAPABILITIES, HeldAnswer
from support.given import Given
from support.interrupts import interrupted
from support.scripted import Script
from tinkex_generated.models import OptimStepResponse

import tinkex
from tinkex._core import futures as futures_module
from tinkex._core import loop
from tinkex._core.futures import Future, Unfinished, as_completed, wait
from tinkex._core.limits import ByteBudget
from tinkex._core.polling import Done, Promise, PromisedWork
from tinkex._core.session import Session
from tinkex._core.submission import future as future_of
from tinkex._core.transport import Transport
from tinkex.errors import ClientClosedError, FutureTimeoutError, RequestFailedError, TinkexError

POLL = "POST retrieve_future"
RESULT = {"metrics": {"x": 1.0}}
TRY_AGAIN = {"type": "try_again", "request_id": "r-1", "queue_state": "active"}
PAUSED = {**TRY_AGAIN, "queue_state": "paused_rate_limit", "queue_state_reason": "busy"}


@pytest.fixture
def unfinished() -> Iterator[Unfinished]:
    unfinished = Unfinished()
    yield unfinished
    unfinished.fail(lambda: ClientClosedError("the test is over"))
    unfinished.cancel()


Make = Callable[..., Future[Any]]


@pytest.fixture
def make(unfinished: Unfinished) -> Make:
    """Return a function that makes a future of work with a given outcome."""

    def make(outcome: Any = None, *, held: bool = False) -> Future[Any]:
        made: Future[Any] = Future(
            Given(outcome, held=held), operation="optim_step", session_id="S"
        )
        unfinished.start(made)
        return made

    return make


def let_go(future: Future[Any]) -> None:
    future._work.let_go()  # type: ignore[attr-defined]


@pytest.fixture
def polled(transport: Transport, unfinished: Unfinished) -> Callable[[], Future[Any]]:
    """Return a function that makes a future of one real promise."""

    def polled() -> Future[Any]:
        promise = Promise(
            transport=transport, request_id="r-1", request_type="OptimStep",
            parse=OptimStepResponse.from_dict, response_bytes=ByteBudget(100),
        )  # fmt: skip
        work = PromisedWork([promise], lambda results: results[0])
        made: Future[Any] = Future(work, operation="optim_step", session_id="S")
        unfinished.start(made)
        return made

    return polled


# One future


def test_a_result_is_fetched_by_no_thread_of_its_own(make: Make) -> None:
    """However many results are waited for, all of them share one loop."""
    future = make("value")
    assert future.result() == "value"
    assert future.result() == "value"
    assert future.exception() is None
    assert future.done()
    before = set(threading.enumerate())
    futures = [make(held=True) for _ in range(500)]
    assert set(threading.enumerate()) <= before
    for one in futures:
        let_go(one)
    assert [one.result(10) for one in futures] == [None] * 500


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
    polled: Callable[[], Future[Any]], script: Script
) -> None:
    """The error is telling, the poll under way is not cut, and a second wait succeeds (F27, C33)."""
    poll = HeldAnswer(RESULT)
    script.on(POLL, {**TRY_AGAIN, "queue_state": "paused_capacity"}, poll)
    future = polled()
    poll.wait()
    with pytest.raises(FutureTimeoutError) as caught:
        future.result(timeout=0.01)
    error = caught.value
    assert "waited 0.01 s for optim_step" in str(error)
    assert "pending, paused_capacity" in str(error)
    assert "still valid" in str(error)
    assert (error.request_id, error.session_id) == ("r-1", "S")
    assert isinstance(error, TimeoutError)
    assert not future.done()
    poll.let_go()
    assert future.result(timeout=10).metrics == {"x": 1.0}
    polls = script.sent("retrieve_future")
    assert [got.headers["x-stainless-read-timeout"] for got in polls] == ["75.000", "75.000"]


def test_a_wait_gives_up_on_time(make: Make) -> None:
    """Whatever the work is at, the caller has it back when the time is over."""
    future = make(held=True)
    began = time.monotonic()
    with pytest.raises(FutureTimeoutError):
        future.exception(timeout=0.01)
    assert 0.01 <= time.monotonic() - began < 5


@pytest.mark.parametrize("timeout", [0, -1])
def test_a_look_does_not_wait(make: Make, timeout: float) -> None:
    """A loop of looks ends at last, as the result is fetched meanwhile."""
    future = make("value", held=True)
    with pytest.raises(FutureTimeoutError):
        future.result(timeout)
    let_go(future)
    wait([future], 10)
    assert future.result(timeout) == "value"


def test_threads_that_wait_for_one_future_poll_once(
    polled: Callable[[], Future[Any]], script: Script
) -> None:
    """All of them wait for what one exchange brings."""
    poll = HeldAnswer(RESULT)
    script.on(POLL, poll)
    future = polled()
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        results = [threads.submit(future.result) for _ in range(8)]
        poll.wait()
        poll.let_go()
        assert [result.result(5).metrics for result in results] == [{"x": 1.0}] * 8
    assert len(script.sent("retrieve_future")) == 1


@pytest.mark.holds("F28")
def test_an_interrupted_wait_leaves_the_future_valid(
    polled: Callable[[], Future[Any]], script: Script
) -> None:
    """Ctrl-C during a poll loses nothing (F28)."""
    with interrupted() as answer:
        script.on(POLL, answer, RESULT)
        future = polled()
        future.result()
    assert future.result(10).metrics == {"x": 1.0}


def test_work_at_the_server_cannot_be_called_back(make: Make) -> None:
    """cancel says no, as it does for anything that runs."""
    future = make(1, held=True)
    assert not future.cancel()
    assert future.running()
    let_go(future)
    assert future.result(10) == 1


def test_a_future_says_how_it_is_doing(polled: Callable[[], Future[Any]], script: Script) -> None:
    """repr, request_id and queue state tell people and programs."""
    first, second = HeldAnswer(PAUSED), HeldAnswer(RESULT)
    script.on(POLL, first, second)
    began = time.monotonic()
    future = polled()
    assert began <= future.submitted_at <= time.monotonic()
    first.wait()
    assert repr(future) == "<Future optim_step r-1: pending, queue unknown>"
    first.let_go()
    second.wait()
    assert repr(future) == "<Future optim_step r-1: pending, queue paused_rate_limit>"
    assert (future.queue_state, future.queue_state_reason) == ("paused_rate_limit", "busy")
    second.let_go()
    future.result(10)
    assert repr(future) == "<Future optim_step r-1: done>"


def test_a_future_of_unsent_work_says_so(make: Make) -> None:
    """A sample that waits for its turn has no id yet."""
    future = make(held=True)
    assert repr(future) == "<Future optim_step not sent yet: pending, queue unknown>"
    assert (future.request_id, future.queue_state_reason) == (None, None)


def test_a_future_cannot_be_pickled(make: Make) -> None:
    """Connections stay in their process; the message says what to send."""
    with pytest.raises(TypeError, match="send its result instead"):
        pickle.dumps(make(1))


def test_a_long_wait_is_told_at_growing_intervals(
    polled: Callable[[], Future[Any]], script: Script, caplog, monkeypatch
) -> None:
    """Lines come after 5, 15 and 60 s and then each minute, with what was last heard."""
    due = list(itertools.islice(futures_module._log_times(), 6))
    assert due == [5, 15, 60, 120, 180, 240]
    monkeypatch.setattr(futures_module, "NARRATE_AT", (0.0, 0.0))
    poll = HeldAnswer(RESULT)
    script.on(POLL, TRY_AGAIN, poll)
    future = polled()
    poll.wait()
    with caplog.at_level(logging.INFO, logger="tinkex.futures"):
        waiting = threading.Thread(target=future.result)
        waiting.start()
        with pytest.raises(FutureTimeoutError):
            future.result(timeout=0.01)
        poll.let_go()
        waiting.join(10)
    assert "waiting for optim_step r-1 for 0 s; last status: pending, active, 0.0 s ago" in (
        caplog.messages
    )


# Callbacks


def test_a_callback_comes_without_anybody_waiting(make: Make) -> None:
    """It is called once, with the future; one that comes late is called too."""
    called: queue.SimpleQueue[Any] = queue.SimpleQueue()
    future = make("value", held=True)
    future.add_done_callback(called.put)
    assert not future.done()
    let_go(future)
    assert called.get(timeout=10) is future
    future.add_done_callback(called.put)
    assert called.get(timeout=10) is future
    assert called.empty()


def test_a_callback_may_block_and_call_the_client(
    make: Make, transport: Transport, script: Script
) -> None:
    """Callbacks have a thread of their own, so the loop works while they wait for it."""
    script.on(CAPABILITIES, {"supported_models": []})
    called: queue.SimpleQueue[Any] = queue.SimpleQueue()
    other = make("other", held=True)

    def callback(future: Any) -> None:
        let_go(other)
        called.put((future.result(), other.result(10), transport.send(calls.read()).status_code))

    make("value").add_done_callback(callback)
    assert called.get(timeout=10) == ("value", "other", 200)


def test_a_callback_that_fails_stops_no_other(make: Make, caplog) -> None:
    """What it raises is logged, and the next one is called."""
    called: queue.SimpleQueue[Any] = queue.SimpleQueue()
    future = make("value")
    future.add_done_callback(lambda _: 1 / 0)
    future.add_done_callback(called.put)
    assert called.get(timeout=10) is future
    # Which logger tells depends on whether the future was already done.
    assert "ZeroDivisionError" in caplog.text


def test_a_blocking_call_in_a_handler_says_what_to_do(
    polled: Callable[[], Future[Any]], transport: Transport, script: Script
) -> None:
    """On the loop's thread it would wait for itself, so it is refused instead of hanging."""
    told: queue.SimpleQueue[TinkexError] = queue.SimpleQueue()
    poll = HeldAnswer(RESULT)
    script.on(POLL, PAUSED, poll)

    def handler(_: Any) -> None:
        for blocking in (future.result, lambda: transport.send(calls.read())):
            try:
                blocking()
            except TinkexError as error:
                told.put(error)

    future = polled()
    poll.wait()
    loop.call_soon(handler, None)
    for _ in range(2):
        assert "Hand the work to another thread" in str(told.get(timeout=10))
    poll.let_go()
    assert future.result(10).metrics == {"x": 1.0}


# Many futures


@pytest.mark.parametrize("waiting", [wait, concurrent.futures.wait, tinkex.wait])
def test_waiting_for_several_works_as_in_the_standard_library(make: Make, waiting) -> None:
    """Own and standard function take these futures."""
    futures = [make(i) for i in range(20)]
    done, pending = waiting(futures, timeout=10)
    assert done == set(futures)
    assert not pending


@pytest.mark.parametrize(
    "completed", [as_completed, concurrent.futures.as_completed, tinkex.as_completed]
)
def test_futures_come_as_they_are_done(make: Make, completed) -> None:
    """Both functions yield each future once, errors included."""
    futures = [make(i) for i in range(20)] + [make(TinkexError("x"))]
    assert set(completed(futures, timeout=10)) == set(futures)


@pytest.mark.parametrize("waiting", [wait, concurrent.futures.wait])
@pytest.mark.parametrize(
    "when", [concurrent.futures.FIRST_COMPLETED, concurrent.futures.FIRST_EXCEPTION]
)
def test_a_wait_may_end_at_the_first(make: Make, waiting, when: str) -> None:
    """return_when means what it means elsewhere."""
    good, bad, never = make(1), make(ValueError("x")), make(held=True)
    first = bad if when == concurrent.futures.FIRST_EXCEPTION else good
    done, pending = waiting([first, never], timeout=10, return_when=when)
    assert (done, pending) == ({first}, {never})


def test_a_wait_that_ends_early_returns_what_is_pending(make: Make) -> None:
    """A time-out of `wait` is no error; one of `as_completed` is a TimeoutError."""
    never = make(held=True)
    assert wait([never], timeout=0.01) == (set(), {never})
    with pytest.raises(TimeoutError):
        list(as_completed([never], timeout=0.01))


def test_waits_from_many_threads_do_not_lock_each_other_out(make: Make) -> None:
    """`wait` holds the locks of all its futures at once, and the loop takes each of them."""
    futures = [make(i) for i in range(300)]
    with concurrent.futures.ThreadPoolExecutor(6) as threads:
        waits = [threads.submit(concurrent.futures.wait, futures[i::3], 30) for i in range(6)]
        assert all(not waited.result(30).not_done for waited in waits)


# Awaiting


def test_a_future_can_be_awaited(make: Make) -> None:
    """Programs with a loop of their own take results and errors as from any awaitable."""

    async def main() -> list[Any]:
        return await asyncio.gather(
            make("a"), make("b"), make(RequestFailedError("it failed")), return_exceptions=True
        )

    first, second, error = asyncio.run(main())
    assert (first, second) == ("a", "b")
    assert isinstance(error, RequestFailedError)


def test_an_await_that_gives_up_leaves_the_future_valid(make: Make) -> None:
    """Work at the server is not called back because one program's patience has ended."""
    future = make("value", held=True)

    async def main() -> None:
        await asyncio.wait_for(asyncio.ensure_future(_awaited(future)), 0.01)

    with pytest.raises(TimeoutError):
        asyncio.run(main())
    let_go(future)
    assert future.result(10) == "value"


async def _awaited(future: Future[Any]) -> Any:
    return await future


# Closing


def test_closing_fails_every_future_however_it_is_waited_for(
    session: Session, script: Script
) -> None:
    """No wait outlives its client, also one that begins after the closing."""
    poll = HeldAnswer(RESULT)
    script.on(POLL, poll)
    promise = Promise(
        transport=session.transport, request_id="r-1", request_type="OptimStep",
        parse=OptimStepResponse.from_dict, response_bytes=ByteBudget(100),
    )  # fmt: skip
    future = future_of(session, PromisedWork([promise], lambda results: results[0]), "optim_step")
    poll.wait()
    called: queue.SimpleQueue[Any] = queue.SimpleQueue()
    future.add_done_callback(called.put)
    with concurrent.futures.ThreadPoolExecutor() as threads:
        waited = threads.submit(wait, [future])
        completed = threads.submit(list, as_completed([future]))
        session.close()
        assert waited.result(10) == ({future}, set())
        assert completed.result(10) == [future]
    assert called.get(timeout=10) is future
    future.add_done_callback(called.put)
    assert called.get(timeout=10) is future
    assert wait([future], timeout=10) == ({future}, set())
    with pytest.raises(ClientClosedError, match="before this result came") as caught:
        future.result()
    assert caught.value.session_id == "S"
    late = future_of(session, Given(held=True), "optim_step")
    with pytest.raises(ClientClosedError):
        late.result(10)
    poll.let_go()


# Several promises in one


@pytest.mark.holds("F26")
def test_the_parts_of_a_batch_are_combined_in_their_order(
    transport: Transport, unfinished: Unfinished, script: Script
) -> None:
    """Polls go from part to part; parts whose result came at once need none (F26)."""
    script.on(POLL, lambda got: {"metrics": {"n": float(got.read().count(b"r-2") + 1)}})

    def promise(name: str) -> Promise[Any]:
        return Promise(
            transport=transport, request_id=name, request_type="ForwardBackward",
            parse=lambda body: body["metrics"]["n"], response_bytes=ByteBudget(100),
        )  # fmt: skip

    work = PromisedWork([Done(0.0), promise("r-1"), Done(1.5), promise("r-2"), Done(3.0)], list)
    future: Future[Any] = Future(work, operation="x")
    assert future.request_id == "r-1"
    unfinished.start(future)
    assert future.result() == [0.0, 1.0, 1.5, 2.0, 3.0]
    assert future.request_id == "r-2"
    assert PromisedWork([Done(1)], list).promise is None


@pytest.mark.holds("F26")
def test_the_error_of_a_batch_names_the_part(
    transport: Transport, unfinished: Unfinished, script: Script
) -> None:
    """People see which part failed (F26)."""
    script.on(POLL, RESULT, {"error": "bad", "category": "user"})
    parts = [
        Promise(
            transport=transport, request_id=f"r-{i}", request_type="ForwardBackward", parse=dict,
            response_bytes=ByteBudget(100),
        )
        for i in range(3)
    ]  # fmt: skip
    future: Future[Any] = Future(PromisedWork(parts, list), operation="x")
    unfinished.start(future)
    with pytest.raises(
        RequestFailedError, match="part 2 of 3 of the batch: ForwardBackward failed: bad"
    ):
        future.result()
