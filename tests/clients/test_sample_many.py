"""Many samples: handed out as they come, bounded while under way, given up when nobody wants them."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from concurrent.futures import CancelledError
from typing import Any

import httpx
import pytest
from support.clock import FakeClock, StandingClock
from support.scripted import Script, scripted_service

from tinkex import ModelInput, SamplingParams, ServiceClient
from tinkex.errors import BadRequestError, ClientClosedError, ValidationError


def answer(token: int) -> dict[str, Any]:
    return {"sequences": [{"tokens": [token], "stop_reason": "length"}]}


def prompts(count: int) -> list[ModelInput]:
    return [ModelInput.from_ints([index]) for index in range(count)]


def first_token(request: httpx.Request) -> int:
    return json.loads(request.content)["prompt"]["chunks"][0]["tokens"][0]


@pytest.fixture
def script() -> Script:
    script = Script().on("POST create_sampling_session", {"sampling_session_id": "SS"})
    script.on("POST client/dynamic_config", {"sample_cancel_enabled": True})
    script.on("POST cancel_future", {})
    return script.on("POST asample", lambda request: answer(first_token(request)))


@pytest.fixture
def service(script: Script) -> Iterator[ServiceClient]:
    with scripted_service(script, FakeClock()) as service:
        yield service


def test_each_prompt_is_answered_once_under_its_index(service: ServiceClient) -> None:
    """Results come in any order; the index says whose each is."""
    sampler = service.create_sampling_client(base_model="B")
    got = dict(sampler.sample_many(prompts(50), 1, SamplingParams(max_tokens=1)))
    assert {index: one.sequences[0].tokens for index, one in got.items()} == {
        index: [index] for index in range(50)
    }


def test_a_result_is_handed_out_while_others_are_still_made(
    service: ServiceClient, script: Script
) -> None:
    """The second prompt's result does not wait for the first's."""
    release = threading.Event()

    def slow_first(request: httpx.Request) -> dict[str, Any]:
        if first_token(request) == 0:
            assert release.wait(30)
        return answer(first_token(request))

    script.on("POST asample", slow_first)
    sampler = service.create_sampling_client(base_model="B")
    results = sampler.sample_many(prompts(2))
    assert next(results)[0] == 1
    release.set()
    assert next(results)[0] == 0
    assert next(results, None) is None


def test_prompts_are_taken_only_as_places_get_free(service: ServiceClient) -> None:
    """An endless iterable of prompts is read no further than the results that were taken."""
    taken: list[int] = []

    def endless() -> Iterator[ModelInput]:
        index = 0
        while True:
            taken.append(index)
            yield ModelInput.from_ints([index])
            index += 1

    sampler = service.create_sampling_client(base_model="B")
    results = sampler.sample_many(endless(), max_in_flight=3)
    assert taken == []
    for _ in range(5):
        next(results)
    assert len(taken) <= 5 + 3
    results.close()


def test_leaving_the_loop_cancels_what_is_under_way(service: ServiceClient, script: Script) -> None:
    """The server is told of every request that nobody will read."""
    quick = threading.Event()

    def promise(request: httpx.Request) -> dict[str, Any]:
        token = first_token(request)
        if token == 0:
            quick.set()
            return answer(0)
        return {"request_id": f"r{token}"}

    script.on("POST asample", promise)
    script.on("POST retrieve_future", (408, {}))
    sampler = service.create_sampling_client(base_model="B")
    results = sampler.sample_many(prompts(4))
    assert next(results)[0] == 0
    clock = service._transport.clock
    clock.run_until(lambda: len(script.sent("asample")) == 4)
    results.close()
    clock.run_until(lambda: len(script.sent("cancel_future")) == 3)
    assert sorted(body["request_id"] for body in script.bodies("cancel_future")) == [
        "r1",
        "r2",
        "r3",
    ]
    clock.run_until(lambda: service.session.limiter.in_flight.taken == 0)


def test_an_error_ends_the_loop_or_stands_in_for_its_result(
    service: ServiceClient, script: Script
) -> None:
    """By default the first error is raised; with return_exceptions the others go on."""
    script.on(
        "POST asample",
        lambda request: (400, {"detail": "odd"}) if first_token(request) == 1 else answer(0),
    )
    sampler = service.create_sampling_client(base_model="B")
    with pytest.raises(BadRequestError, match="odd"):
        dict(sampler.sample_many(prompts(3)))
    got = dict(sampler.sample_many(prompts(3), return_exceptions=True))
    assert isinstance(got[1], BadRequestError)
    assert [got[index].sequences[0].tokens for index in (0, 2)] == [[0], [0]]


def test_bad_arguments_are_named(service: ServiceClient) -> None:
    """A limit that cannot be is refused at the call, a prompt that cannot be when its turn comes."""
    sampler = service.create_sampling_client(base_model="B")
    with pytest.raises(ValidationError, match="max_in_flight"):
        sampler.sample_many(prompts(1), max_in_flight=0)
    with pytest.raises(ValidationError, match="prompt"):
        next(sampler.sample_many(["text"]))  # type: ignore[list-item]


def test_closing_the_service_ends_a_loop_that_waits(script: Script) -> None:
    """Nothing comes any more, and the loop says why instead of waiting for ever."""
    script.on("POST asample", {"request_id": "r"}).on("POST retrieve_future", (408, {}))
    with scripted_service(script, FakeClock()) as service:
        results = service.create_sampling_client(base_model="B").sample_many(prompts(1))
        closer = threading.Timer(0.05, service.close)
        closer.start()
        with pytest.raises(ClientClosedError):
            next(results)
        closer.join()


# Giving up one sample


def test_a_cancelled_sample_is_given_up_here_and_at_the_server(
    service: ServiceClient, script: Script
) -> None:
    """Its waiters get CancelledError, its place is free, and the server may stop."""
    script.on("POST asample", {"request_id": "r"}).on("POST retrieve_future", (408, {}))
    sampler = service.create_sampling_client(base_model="B")
    future = sampler.sample(prompts(1)[0])
    clock = service._transport.clock
    clock.run_until(lambda: future.request_id == "r")
    assert future.running()
    assert future.cancel()
    assert future.cancelled()
    assert future.done()
    assert future.cancel()
    with pytest.raises(CancelledError):
        future.result(5)
    clock.run_until(lambda: service.session.limiter.in_flight.taken == 0)
    clock.run_until(lambda: script.bodies("cancel_future") == [{"request_id": "r"}])


def test_a_sample_that_was_not_sent_is_cancelled_without_a_word(script: Script) -> None:
    """The server never heard of it."""
    clock = StandingClock()
    with scripted_service(script, clock) as service:
        service.session.limiter.cool_down(1e6, clock)
        sampler = service.create_sampling_client(base_model="B")
        future = sampler.sample(prompts(1)[0])
        clock.run_until(lambda: clock.slept != [], step=0.0)
        assert future.cancel()
        clock.run_until(lambda: service.session.limiter.in_flight.taken == 0, step=0.0)
    assert script.sent("asample") == []
    assert script.sent("cancel_future") == []


def test_a_finished_sample_cannot_be_cancelled(service: ServiceClient) -> None:
    """The result stays."""
    future = service.create_sampling_client(base_model="B").sample(prompts(1)[0])
    result = future.result()
    assert not future.cancel()
    assert future.result() is result


def test_a_training_request_cannot_be_cancelled(service: ServiceClient, script: Script) -> None:
    """It has its place in the model's order."""
    script.on("POST create_model", {"model_id": "M"}).on("POST optim_step", {"request_id": "r"})
    script.on("POST retrieve_future", {"metrics": {}})
    future = service.create_lora_training_client("B").optim_step()
    assert not future.cancel()
    assert future.result().metrics == {}


@pytest.mark.parametrize(
    "answer", [(404, {"detail": "Not Found"}), {"sample_cancel_enabled": False}]
)
def test_a_server_that_does_not_listen_is_asked_once(script: Script, answer: Any) -> None:
    """Whether samples can be cancelled is asked when there is something to cancel, then remembered."""
    clock = FakeClock()
    script.on("POST client/dynamic_config", answer)
    script.on("POST asample", lambda request: {"request_id": f"r{first_token(request)}"})
    script.on("POST retrieve_future", (408, {}))
    with scripted_service(script, clock) as service:
        sampler = service.create_sampling_client(base_model="B")
        assert script.sent("client/dynamic_config") == []
        for prompt in prompts(3):
            future = sampler.sample(prompt)
            clock.run_until(lambda future=future: future.request_id is not None, step=1.0)
            assert future.cancel()
            clock.run_until(lambda: not service.session.cancellations._waiting, step=1.0)
    assert len(script.sent("client/dynamic_config")) == 1
    assert script.sent("cancel_future") == []
