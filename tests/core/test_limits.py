"""What bounds bytes and samples, whose word it is, and what a 429 changes."""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
from support.clock import FakeClock
from support.scripted import Script, scripted_service

from tinkex import Datum, ModelInput, RetryConfig
from tinkex._core import loop
from tinkex._core.limits import (
    CAREFUL_DISPATCHES,
    CAREFUL_SECONDS,
    DISPATCHES,
    ByteBudget,
    Limits,
    SampleLimiter,
    Slots,
)
from tinkex._core.server_config import ServerConfig, fetch_server_config
from tinkex._core.session import Session
from tinkex.config import Config
from tinkex.errors import ConfigurationError

HINTS = {
    "fwdbwd_max_chunk_len": 7,
    "fwdbwd_max_chunk_bytes_count": 70,
    "sample_max_concurrent_requests": 2000,
    "sample_dispatch_bytes_semaphore_size": 123,
    "inflight_response_bytes_semaphore_size": 456,
}


# Whose word it is


def test_the_servers_hints_stand_between_settings_and_defaults(
    make_transport, script: Script
) -> None:
    """The user's word wins, then the server's, then our own; each value knows whose it is (P23)."""
    script.on("POST client/config", {**HINTS, "sample_max_concurrent_requests": 0})
    session = Session(make_transport(chunk_len=5))
    session.close()
    assert session.limits == Limits(
        chunk_len=5, chunk_bytes=70, samples_in_flight=2000, prompt_bytes=123, response_bytes=456
    )
    assert session.limits.sources == {
        "chunk_len": "argument",
        "chunk_bytes": "server",
        "samples_in_flight": "default",
        "prompt_bytes": "server",
        "response_bytes": "server",
    }
    assert session.limiter.prompt_bytes.size == 123
    assert session.limiter.response_bytes.size == 456


@pytest.mark.holds("F32")
@pytest.mark.parametrize(
    "answer",
    [404, 405, 501, 500, 401, (200, b"<html>"), (200, b"[1]"), {"fwdbwd_max_chunk_len": "many"}],
)
def test_a_server_without_hints_costs_nothing(make_transport, script: Script, answer) -> None:
    """Whatever it says, the session begins, with the defaults, after a single request (F32)."""
    script.on("POST client/config", answer)
    transport = make_transport()
    assert fetch_server_config(transport) == ServerConfig()
    session = Session(transport)
    session.close()
    assert session.limits == Limits()
    assert len(script.sent("client/config")) == 2
    assert script.bodies("client/config")[0].keys() == {"sdk_version"}


@pytest.mark.parametrize(
    ("answer", "url"),
    [
        ({"console_url": "http://127.0.0.1:8420/"}, "http://127.0.0.1:8420/"),
        ({"console_url": "javascript:alert(1)"}, None),
        ({"console_url": "http://x/\u001b[2J"}, None),
        ({"console_url": "http://x/ and more"}, None),
        ({"console_url": None}, None),
        ({}, None),
        (404, None),
    ],
)
def test_the_page_of_a_server_is_where_it_says(script: Script, answer, url: str | None) -> None:
    """A web address is passed on; other words of a server, or none, are no page."""
    script.on("POST client/config", answer)
    with scripted_service(script) as service:
        assert service.console_url == url


def test_batches_are_cut_as_the_limits_say(script: Script) -> None:
    """A hint of two data in a request makes three requests of five."""
    script.on("POST client/config", {"fwdbwd_max_chunk_len": 2})
    script.on("POST create_model", {"model_id": "M"})
    script.on("POST forward_backward", {"request_id": "r"})
    with scripted_service(script, wire_format="json") as service:
        training = service.create_lora_training_client("B")
        training.forward_backward([Datum(ModelInput.from_ints([1]))] * 5, "cross_entropy")
    sent = script.bodies("forward_backward")
    assert [len(body["forward_backward_input"]["data"]) for body in sent] == [2, 2, 1]
    assert [body["seq_id"] for body in sent] == [1, 2, 3]


@pytest.mark.parametrize("name", ["chunk_len", "chunk_bytes", "samples_in_flight"])
def test_sizes_are_positive_integers(name: str) -> None:
    """Zero and words are refused, from arguments and from the environment alike."""
    for bad in ({name: 0}, {name: True}, {name: "many"}):
        with pytest.raises(ConfigurationError, match=f"{name} must be a positive integer"):
            Config.resolve(environ={}, base_url="local", **bad)
    environ = {f"TINKEX_{name.upper()}": "-3"}
    with pytest.raises(ConfigurationError, match=f"{name} must be a positive integer"):
        Config.resolve(environ=environ, base_url="local")


# What slots and a budget of bytes are


async def settled() -> None:
    """Let everything happen that waits for nothing but its turn."""
    for _ in range(20):
        await asyncio.sleep(0)


def begun(coroutine: Coroutine[Any, Any, Any]) -> asyncio.Future[Any]:
    return asyncio.ensure_future(coroutine)


def on_a_loop(test: Callable[..., Coroutine[Any, Any, None]]) -> Callable[..., None]:
    """Run a test as a coroutine: limits are used on one loop alone."""

    @functools.wraps(test)
    def run(*args: Any, **kwargs: Any) -> None:
        asyncio.run(test(*args, **kwargs))

    return run


@on_a_loop
async def test_one_taker_may_overdraw_a_budget_and_the_next_waits() -> None:
    """Of 1,000 bytes 500 and then 600 are given, 100 only when something came back."""
    budget = ByteBudget(1000)
    await budget.take(500)
    await budget.take(600)
    third = begun(budget.take(100))
    await settled()
    assert not third.done()
    budget.give_back(500)
    await third
    assert budget.taken == 700


@on_a_loop
async def test_a_budget_is_resized_around_what_is_taken() -> None:
    """What is on its way stays counted."""
    budget = ByteBudget(100)
    await budget.take(90)
    budget.resize(50)
    waiting = begun(budget.take(50))
    await settled()
    assert not waiting.done()
    budget.give_back(90)
    await waiting
    budget.give_back(50)
    assert budget.taken == 0


@on_a_loop
async def test_slots_are_counted_exactly() -> None:
    """Never more than there are, and all of them back at the end (C58)."""
    slots = Slots(3)
    most = 0

    async def work() -> None:
        nonlocal most
        for _ in range(50):
            async with slots.held():
                most = max(most, slots.taken)
                await asyncio.sleep(0)

    await asyncio.gather(*(work() for _ in range(20)))
    assert slots.taken == 0
    assert most == 3


@on_a_loop
async def test_slots_are_given_first_come_first_served() -> None:
    """A newcomer overtakes no one, and neither does one who wants less."""
    slots = Slots(2)
    await slots.take(2)
    order: list[str] = []

    async def take(name: str, cost: int) -> None:
        await slots.take(cost)
        order.append(name)

    waiting = [begun(take("large", 2)), begun(take("small", 1)), begun(take("third", 1))]
    await settled()
    slots.give_back(1)
    await settled()
    assert order == []
    slots.give_back(1)
    await settled()
    assert order == ["large"]
    slots.give_back(2)
    await asyncio.gather(*waiting)
    assert order == ["large", "small", "third"]


@on_a_loop
async def test_a_waiter_who_gives_up_loses_no_slot() -> None:
    """Whether it was cancelled in the queue, or at the moment when it was let in."""
    slots = Slots(1)
    await slots.take()
    first, second, third = (begun(slots.take()) for _ in range(3))
    await settled()
    first.cancel()
    await settled()
    slots.give_back()
    # It was let in by now, and has not noticed yet.
    second.cancel()
    await third
    assert slots.taken == 1
    slots.give_back()
    assert slots.taken == 0


@on_a_loop
async def test_who_waits_for_a_slot_costs_nothing_until_woken(monkeypatch) -> None:
    """No timers, no polling: of 10,000 in the queue only those that are let in run."""
    running = asyncio.get_running_loop()
    slots = Slots(10)
    await slots.take(10)
    waiting = [begun(slots.take()) for _ in range(10_000)]
    await settled()
    steps = 0
    call_soon = running.call_soon

    def counted(*args: Any, **kwargs: Any) -> Any:
        nonlocal steps
        steps += 1
        return call_soon(*args, **kwargs)

    monkeypatch.setattr(running, "call_soon", counted)
    for _ in range(10):
        slots.give_back()
    await settled()
    assert not running._scheduled  # type: ignore[attr-defined]
    assert steps < 100
    assert [one.done() for one in waiting] == [True] * 10 + [False] * 9_990
    for one in waiting[10:]:
        one.cancel()
    await settled()
    assert slots.taken == 10


def test_samples_are_submitted_in_the_order_of_their_calls(script: Script) -> None:
    """With one slot each waits for the one before it, and all of them are there at the end."""
    script.on("POST create_sampling_session", {"sampling_session_id": "SS"})
    script.on("POST asample", {"sequences": []})
    with scripted_service(script) as service:
        sampler = service.create_sampling_client(
            base_model="B", retry_config=RetryConfig(max_connections=1)
        )
        futures = [sampler.sample(ModelInput.from_ints([1])) for _ in range(50)]
        for future in futures:
            future.result(10)
    assert [body["seq_id"] for body in script.bodies("asample")] == list(range(50))


# What a 429 changes


@asynccontextmanager
async def _dispatch(limiter: SampleLimiter, size: int, clock: FakeClock) -> AsyncIterator[None]:
    permit = await limiter.take_dispatch(size, clock)
    try:
        yield
    finally:
        limiter.give_dispatch_back(*permit)


@on_a_loop
async def test_after_a_429_prompts_count_twenty_fold(clock: FakeClock) -> None:
    """With 1,000 bytes, two prompts of 100 go at once before a 429 and one by one after (C52)."""
    limiter = SampleLimiter(prompt_bytes=1000)
    async with _dispatch(limiter, 100, clock), _dispatch(limiter, 100, clock):
        assert limiter.prompt_bytes.taken == 200
    limiter.cool_down(1.0, clock)
    clock.advance(1.0 + CAREFUL_SECONDS / 2)
    async with _dispatch(limiter, 100, clock):
        assert limiter.prompt_bytes.taken == 2000
        sent = asyncio.Event()
        second = begun(_dispatched(limiter, 100, clock, sent))
        await settled()
        assert not sent.is_set()
    await second
    assert sent.is_set()
    assert limiter.prompt_bytes.taken == 0


async def _dispatched(
    limiter: SampleLimiter, size: int, clock: FakeClock, sent: asyncio.Event
) -> None:
    async with _dispatch(limiter, size, clock):
        sent.set()


async def _sent_at_once(limiter: SampleLimiter, clock: FakeClock, count: int) -> int:
    """Return how many of so many prompts are being sent when none comes to its end."""
    inside = 0
    over = asyncio.Event()

    async def send() -> None:
        nonlocal inside
        async with _dispatch(limiter, 1, clock):
            inside += 1
            await over.wait()

    sending = [begun(send()) for _ in range(count)]
    await settled()
    found = inside
    over.set()
    await asyncio.gather(*sending)
    return found


@on_a_loop
async def test_care_ends_ten_seconds_after_the_pause(clock: FakeClock) -> None:
    """Few prompts at once while it lasts, the usual number after it."""
    limiter = SampleLimiter()
    limiter.cool_down(2.0, clock)
    clock.advance(2.0)
    assert await _sent_at_once(limiter, clock, 50) == CAREFUL_DISPATCHES
    clock.advance(CAREFUL_SECONDS)
    assert await _sent_at_once(limiter, clock, DISPATCHES + 50) == DISPATCHES


@on_a_loop
async def test_what_was_counted_is_given_back_also_when_care_ends_meanwhile(
    clock: FakeClock,
) -> None:
    """A prompt that was sent with care returns what it took."""
    limiter = SampleLimiter(prompt_bytes=1000)
    limiter.cool_down(1.0, clock)
    clock.advance(1.0)
    async with _dispatch(limiter, 60, clock):
        assert limiter.prompt_bytes.taken == 1200
        clock.advance(CAREFUL_SECONDS)
    assert limiter.prompt_bytes.taken == 0


@on_a_loop
async def test_a_prompt_that_waited_for_room_heeds_a_429_that_came_meanwhile(
    clock: FakeClock,
) -> None:
    """Its turn comes during the cool-down, which it sits out before it is sent."""
    limiter = SampleLimiter(prompt_bytes=1000)
    sent = asyncio.Event()
    async with _dispatch(limiter, 2000, clock):
        waiting = begun(_dispatched(limiter, 1, clock, sent))
        await settled()
        limiter.cool_down(30.0, clock)
    await waiting
    assert clock.slept == [30.0]


def test_prompts_wait_for_room_and_are_sent_then(script: Script, clock: FakeClock) -> None:
    """Back-pressure delays a sample; it never fails it."""
    script.on("POST create_sampling_session", {"sampling_session_id": "SS"})
    script.on("POST asample", {"sequences": []})
    with scripted_service(script, clock, prompt_bytes=1) as service:
        session = service.session
        prompt_bytes = session.limiter.prompt_bytes
        session.transport.run(prompt_bytes.take(2))
        sampler = service.create_sampling_client(base_model="B")
        future = sampler.sample(ModelInput.from_ints([1]))
        session.transport.run(settled())
        assert script.sent("asample") == []
        loop.call_soon(prompt_bytes.give_back, 2)
        future.result(10)
        assert prompt_bytes.taken == 0
