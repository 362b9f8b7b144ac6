"""What bounds bytes and samples, whose word it is, and what a 429 changes."""

from __future__ import annotations

import threading

import pytest
from support.clock import FakeClock
from support.scripted import Script, scripted_service

from tinkex import Datum, ModelInput
from tinkex.config import Config
from tinkex.errors import ConfigurationError
from tinkex.hints import ServerHints, ask_for_hints
from tinkex.limits import (
    CAREFUL_DISPATCHES,
    CAREFUL_SECONDS,
    DISPATCHES,
    ByteBudget,
    Limits,
    Places,
    SampleLimiter,
)
from tinkex.session import Session

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
        chunk_len=5, chunk_bytes=70, samples_in_flight=1000, prompt_bytes=123, response_bytes=456
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
    assert ask_for_hints(transport) == ServerHints()
    session = Session(transport)
    session.close()
    assert session.limits == Limits()
    assert len(script.sent("client/config")) == 2
    assert script.bodies("client/config")[0].keys() == {"sdk_version"}


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


# What a budget of bytes is


def test_one_taker_may_overdraw_a_budget_and_the_next_waits() -> None:
    """Of 1,000 bytes 500 and then 600 are given, 100 only when something came back."""
    budget = ByteBudget(1000)
    assert budget.try_take(500)
    assert budget.try_take(600)
    assert not budget.try_take(100)
    budget.give_back(500)
    assert budget.try_take(100)


def test_a_budget_is_resized_around_what_is_taken() -> None:
    """What is on its way stays counted."""
    budget = ByteBudget(100)
    assert budget.try_take(90)
    budget.resize(50)
    assert not budget.try_take(1)
    budget.give_back(90)
    assert budget.try_take(50)


def test_places_are_counted_exactly_under_many_threads() -> None:
    """Never more than there are, and all of them back at the end (C58)."""
    places = Places(3)
    most = []

    def work() -> None:
        for _ in range(500):
            if places.try_take():
                most.append(places.taken)
                places.give_back()

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert places.taken == 0
    assert max(most) <= 3


# What a 429 changes


def test_after_a_429_prompts_count_twenty_fold(clock: FakeClock) -> None:
    """With 1,000 bytes, two prompts of 100 go at once before a 429 and one by one after (C52)."""
    limiter = SampleLimiter(prompt_bytes=1000)
    calm = [limiter.try_dispatch(100, clock) for _ in range(2)]
    assert None not in calm
    for dispatch in calm:
        limiter.end_dispatch(dispatch)
    limiter.be_quiet(1.0, clock)
    clock.advance(1.0 + CAREFUL_SECONDS / 2)
    first = limiter.try_dispatch(100, clock)
    assert first is not None
    assert first.counted_bytes == 2000
    assert limiter.try_dispatch(100, clock) is None
    limiter.end_dispatch(first)
    assert limiter.try_dispatch(100, clock) is not None


def test_care_ends_ten_seconds_after_the_pause(clock: FakeClock) -> None:
    """Few prompts at once while it lasts, the usual number after it."""
    limiter = SampleLimiter()
    limiter.be_quiet(2.0, clock)
    clock.advance(2.0)
    careful = [limiter.try_dispatch(1, clock) for _ in range(CAREFUL_DISPATCHES + 1)]
    assert careful.count(None) == 1
    clock.advance(CAREFUL_SECONDS)
    calm = [limiter.try_dispatch(1, clock) for _ in range(DISPATCHES)]
    assert calm.count(None) == CAREFUL_DISPATCHES


def test_what_was_counted_is_given_back_also_when_care_ends_meanwhile(clock: FakeClock) -> None:
    """A prompt that was sent with care returns what it took."""
    limiter = SampleLimiter(prompt_bytes=1000)
    limiter.be_quiet(1.0, clock)
    clock.advance(1.0)
    dispatch = limiter.try_dispatch(60, clock)
    assert dispatch is not None
    clock.advance(CAREFUL_SECONDS)
    limiter.end_dispatch(dispatch)
    assert limiter.prompt_bytes.try_take(1000)
    assert limiter.prompt_bytes.try_take(1)
    assert not limiter.prompt_bytes.try_take(1)


def test_prompts_wait_for_room_and_are_sent_then(script: Script, clock: FakeClock) -> None:
    """Back-pressure delays a sample; it never fails it."""
    script.on("POST create_sampling_session", {"sampling_session_id": "SS"})
    script.on("POST asample", {"sequences": []})
    with scripted_service(script, clock, prompt_bytes=1) as service:
        limiter = service.session.limiter
        assert limiter.prompt_bytes.try_take(2)
        sampler = service.create_sampling_client(base_model="B")
        future = sampler.sample(ModelInput.from_ints([1]))
        waits = [future.step() for _ in range(3)]
        assert script.sent("asample") == []
        assert all(wait is None or wait > 0 for wait in waits)
        limiter.prompt_bytes.give_back(2)
        future.result()
        assert limiter.prompt_bytes.try_take(1)
