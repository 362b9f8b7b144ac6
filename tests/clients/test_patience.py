"""How patient samples are, and what newer servers can be asked for, against a scripted server."""

from __future__ import annotations

import logging
from datetime import timedelta
from typing import Any

import pytest
from support.clock import FakeClock, StandingClock
from support.scripted import Script, scripted_service

from tinkex import ModelInput, RetryConfig, SamplingClient, ServiceClient
from tinkex.errors import RateLimitError, ServerError, ValidationError

PROMPT = ModelInput.from_ints([1, 2, 3])


@pytest.fixture
def script() -> Script:
    return Script().on("POST create_sampling_session", {"sampling_session_id": "SS"})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def sampler(service: ServiceClient, **retry: Any) -> SamplingClient:
    return service.create_sampling_client(base_model="B", retry_config=RetryConfig(**retry))


# Patience


def test_failures_in_a_row_end_at_the_deadline_with_their_history(
    script: Script, clock: FakeClock
) -> None:
    """A sample gives up after the seconds that its client was given, and says what it met (C56)."""
    script.on("POST asample", 503)
    with scripted_service(script, clock) as service:
        client = sampler(service, deadline=timedelta(seconds=10))
        began = clock.now()
        with pytest.raises(ServerError, match="gave up after") as caught:
            client.sample(PROMPT).result()
    assert clock.now() - began <= 10
    assert caught.value.attempts[0] == "0.0 s: HTTP 503"
    assert len(caught.value.attempts) == len(script.sent("asample"))


def test_a_full_server_is_one_line_for_each_pause(script: Script, clock: FakeClock, caplog) -> None:
    """However many samples run into it, the log says once that and for how long all wait."""
    script.on(
        "POST asample",
        (429, {}, {"retry-after": "7"}),
        (429, {}, {"retry-after": "7"}),
        {"sequences": []},
    )
    with (
        caplog.at_level(logging.INFO, logger="tinkex.sampling"),
        scripted_service(script, clock) as service,
    ):
        client = sampler(service)
        futures = [client.sample(PROMPT) for _ in range(2)]
        for future in futures:
            future.result()
    said = [message for message in caplog.messages if "HTTP 429" in message]
    assert said[0] == "the server is full (HTTP 429): no samples are sent for 7.0 s"
    assert len(said) <= 2


def test_a_429_may_be_the_callers_to_handle(script: Script, clock: FakeClock) -> None:
    """With on_limit="raise" the error carries what the server asked for, other failures pass (P21)."""
    script.on("POST asample", 503, (429, {}, {"retry-after": "7"}))
    with scripted_service(script, clock) as service:
        with pytest.raises(RateLimitError) as caught:
            sampler(service, on_limit="raise").sample(PROMPT).result()
        assert caught.value.retry_after == 7
        assert service.session.limiter.cool_down_left(clock) == 0


@pytest.mark.holds("F12")
def test_two_services_of_one_key_wait_together_and_another_key_does_not() -> None:
    """A 429 holds all samplers of the process for that server and key, and no others (C51)."""
    clock = StandingClock()
    script = Script().on("POST create_sampling_session", {"sampling_session_id": "SS"})
    script.on("POST asample", (429, {}, {"retry-after": "60"}), {"sequences": []})
    key, other = "tml-one-0123456789", "tml-two-0123456789"
    with (
        scripted_service(script, clock, api_key=key) as first,
        scripted_service(script, clock, api_key=key) as second,
        scripted_service(script, clock, api_key=other) as third,
    ):
        held = sampler(first).sample(PROMPT)
        clock.run_until(lambda: first.session.limiter.cool_down_left(clock) > 0, step=0.0)
        assert second.session.limiter.cool_down_left(clock) == pytest.approx(60)
        assert third.session.limiter.cool_down_left(clock) == 0
        sampler(third).sample(PROMPT).result()
        assert len(script.sent("asample")) == 2
        behind = sampler(second).sample(PROMPT)
        clock.run_until(lambda: held.done() and behind.done())
        assert clock.now() >= 1060


def test_a_client_that_is_full_does_not_hold_back_another(script: Script, clock: FakeClock) -> None:
    """max_connections bounds one client; its neighbour goes on (C58)."""
    script.on("POST asample", {"request_id": "r"}, {"sequences": []})
    script.on("POST retrieve_future", (408, {}))
    with scripted_service(script, clock) as service:
        full = sampler(service, max_connections=1)
        waiting = full.sample(PROMPT)
        clock.run_until(lambda: waiting.request_id is not None)
        behind = full.sample(PROMPT)
        sampler(service).sample(PROMPT).result()
        assert behind.request_id is None


@pytest.mark.holds("F47")
def test_samples_behind_a_full_client_are_woken_in_their_order(
    script: Script, clock: FakeClock
) -> None:
    """Each is sent when the one before it has its result; waiting takes no timer and no look (C53)."""
    script.on("POST asample", {"sequences": []})
    with scripted_service(script, clock) as service:
        client = sampler(service, max_connections=1)
        futures = [client.sample(ModelInput.from_ints([index])) for index in range(50)]
        for future in futures:
            future.result(10)
    sent = [body["prompt"]["chunks"][0]["tokens"][0] for body in script.bodies("asample")]
    assert sent == list(range(50))
    assert clock.slept == []


# What newer servers can be asked for


def test_the_newer_questions_travel_only_when_they_are_asked(script: Script) -> None:
    """Alternatives, targets and the last n prompt tokens stand in the request as the API has them."""
    script.on("POST asample", {"sequences": []})
    with scripted_service(script) as service:
        client = sampler(service)
        client.sample(PROMPT).result()
        client.sample(
            PROMPT,
            include_prompt_logprobs=True,
            topk_sample_logprobs=2,
            target_prompt_logprobs=[[1, 2], [3, -1]],
            prompt_alt_tokens_k=3,
            prompt_logprobs_last_n=1,
            record_stability_info=True,
        ).result()
    plain, asked = script.bodies("asample")
    names = {"target_prompt_logprobs", "prompt_logprobs_last_n", "record_stability_info"}
    assert not names & plain.keys()
    assert asked["target_prompt_logprobs"] == {
        "data": [1, 2, 3, -1],
        "dtype": "int64",
        "shape": [2, 2],
    }
    assert (asked["topk_sample_logprobs"], asked["prompt_alt_tokens_k"]) == (2, 3)
    assert (asked["prompt_logprobs_last_n"], asked["record_stability_info"]) == (1, True)


@pytest.mark.parametrize(
    ("argument", "value"),
    [
        ("target_prompt_logprobs", [[1, 2]]),
        ("target_prompt_logprobs", [1, 2]),
        ("prompt_logprobs_last_n", 1),
        ("topk_sample_logprobs", -1),
        ("prompt_alt_tokens_k", True),
    ],
)
def test_a_newer_question_that_cannot_be_right_is_refused(
    script: Script, argument: str, value: Any
) -> None:
    """Shapes and counts are checked before anything is sent, and the argument is named."""
    with scripted_service(script) as service, pytest.raises(ValidationError, match=argument):
        sampler(service).sample(PROMPT, **{argument: value})
    assert script.sent("asample") == []
