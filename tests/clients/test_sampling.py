"""The sampling client, against a scripted server."""

from __future__ import annotations

import gc
import threading
import weakref
from typing import Any

import httpx
import numpy as np
import pytest
from support.clock import FakeClock, StandingClock
from support.scripted import Script, promises, scripted_service

from tinkex import RetryConfig, SamplingClient, ServiceClient
from tinkex._core import loop
from tinkex.errors import (
    BadRequestError,
    DecodeError,
    FutureLostError,
    RateLimitError,
    RequestFailedError,
    ServerError,
    ValidationError,
)
from tinkex.types import ImageChunk, ModelInput, SamplingParams

PROMPT = ModelInput.from_ints([1, 2, 3])
PARAMS = SamplingParams(max_tokens=4)
SAMPLE = {
    "type": "sample",
    "sequences": [{"tokens": [5], "logprobs": [-0.1], "stop_reason": "stop"}],
}


@pytest.fixture
def script() -> Script:
    script = Script()
    script.on("POST create_sampling_session", {"sampling_session_id": "SS"})
    promises(script, "POST asample", *[SAMPLE] * 20)
    return script


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def sampler(service: ServiceClient, **retry: Any) -> SamplingClient:
    return service.create_sampling_client(base_model="B", retry_config=RetryConfig(**retry))


@pytest.mark.parametrize(
    "path",
    ["tinker://M/sampler_weights/s1", "tinker://M/s1", "tinker://S:train:0/sampler_weights/s1"],
)
def test_whatever_path_a_server_gives_can_be_sampled_from(script: Script, path: str) -> None:
    """The official three segments and SkyRL's two alike are passed on as they are."""
    with scripted_service(script) as service:
        client = service.create_sampling_client(path)
        client.sample(PROMPT, 1, PARAMS).result()
    assert script.bodies("create_sampling_session")[0]["model_path"] == path
    assert client.model_path == path


@pytest.mark.parametrize(
    "arguments",
    [
        {},
        {"model_path": ""},
        {"model_path": "s1"},
        {"model_path": "https://M/sampler_weights/s1"},
        {"model_path": "tinker://"},
        {"model_path": "tinker://M/external_weights/s1"},
        {"base_model": "B", "retry_config": {"enabled": False}},
    ],
    ids=repr,
)
def test_a_sampler_of_nothing_is_refused(script: Script, arguments: dict[str, Any]) -> None:
    """Without a model, with a path of another scheme or exported files, nothing is sent."""
    with scripted_service(script) as service, pytest.raises(ValidationError):
        service.create_sampling_client(**arguments)
    assert script.paths() == []


@pytest.mark.parametrize(
    ("arguments", "path"),
    [
        (([1, 2],), "prompt"),
        (("text",), "prompt"),
        ((ModelInput.empty(),), "prompt"),
        ((ModelInput.from_ints([]),), "prompt"),
        ((PROMPT, 0), "num_samples"),
        ((PROMPT, True), "num_samples"),
        ((PROMPT, 1, {"max_tokens": 4}), "sampling_params"),
        ((PROMPT, 1, PARAMS, False, -1), "topk_prompt_logprobs"),
    ],
    ids=repr,
)
def test_a_sample_that_cannot_be_right_sends_nothing(
    script: Script, arguments: tuple[Any, ...], path: str
) -> None:
    """Wrong prompts, counts and settings are refused by name, and cost no number."""
    with scripted_service(script) as service:
        client = sampler(service)
        with pytest.raises(ValidationError) as caught:
            client.sample(*arguments)
        assert script.paths() == ["POST create_sampling_session"]
        client.sample(PROMPT, np.int64(1)).result()
    assert caught.value.path == path
    assert script.bodies("asample")[0]["seq_id"] == 0


def test_samples_are_numbered_from_zero(script: Script) -> None:
    """Each sample takes the next number of its client."""
    with scripted_service(script) as service:
        client = sampler(service)
        futures = [client.sample(PROMPT, 1, PARAMS) for _ in range(5)]
        results = [future.result() for future in futures]
    assert [result.sequences[0].tokens for result in results] == [[5]] * 5
    assert sorted(body["seq_id"] for body in script.bodies("asample")) == [0, 1, 2, 3, 4]


def test_a_sample_that_is_there_at_once_is_not_polled(script: Script) -> None:
    """An answer without a request id is the sample itself."""
    script.on("POST asample", SAMPLE)
    with scripted_service(script) as service:
        assert sampler(service).sample(PROMPT).result().sequences[0].stop_reason == "stop"
    assert "POST retrieve_future" not in script.paths()


@pytest.mark.parametrize("body", [b"", b"[]", b"<html>", b'{"sequences": 5}'])
def test_an_answer_that_is_no_sample_is_an_error_of_the_server(script: Script, body: bytes) -> None:
    """No parser's own error comes out of a broken answer."""
    script.on("POST asample", (200, body))
    with scripted_service(script) as service, pytest.raises(DecodeError, match="asample"):
        sampler(service).sample(PROMPT).result()


def too_many(seconds: str) -> tuple[int, Any, dict[str, str]]:
    return 429, {"detail": "slow down"}, {"Retry-After": seconds}


@pytest.mark.holds("F12")
def test_a_429_holds_all_samplers_for_as_long_as_the_server_asks(script: Script) -> None:
    """Nothing is sent to that server before the time is over, by no sampler; then the same bytes."""
    clock = StandingClock()
    sent_at: list[float] = []

    def answer(request: httpx.Request) -> Any:
        sent_at.append(clock.now())
        return too_many("30") if len(sent_at) == 1 else {"request_id": "asample-0"}

    script.on("POST asample", answer)
    with scripted_service(script, clock) as service:
        # Two clients of one server and key; futures of the second must wait for the first's 429.
        first, second = sampler(service), sampler(service)
        sampled = first.sample(PROMPT)
        clock.run_until(lambda: service.session.limiter.cool_down_left(clock) > 0, step=0.0)
        other = second.sample(PROMPT)
        clock.run_until(lambda: len(clock.slept) == 2, step=0.0)
        began = clock.now()
        clock.advance(30)
        sampled.result(10)
        other.result(10)
    assert sent_at == [began, began + 30, began + 30]
    sent = script.sent("asample")
    assert sent[0].content in {got.content for got in sent[1:]}
    assert len(sent) == 3


@pytest.mark.parametrize(("tokens", "seconds"), [(3, 1.0), (15_000, 5.0)])
def test_a_429_without_a_time_holds_longer_for_larger_prompts(
    script: Script, clock: FakeClock, tokens: int, seconds: float
) -> None:
    """One second for a small prompt, five for a large one."""
    script.on("POST asample", 429, {"request_id": "asample-0"})
    with scripted_service(script, clock) as service:
        before = clock.now()
        sampler(service).sample(ModelInput.from_ints(np.ones(tokens, int))).result()
    assert clock.now() - before == pytest.approx(seconds)


@pytest.mark.holds("F13")
def test_a_429_of_hours_is_an_error(script: Script) -> None:
    """A server that asks for more than anybody waits gets no second request."""
    script.on("POST asample", too_many("7200"))
    with scripted_service(script) as service, pytest.raises(RateLimitError) as caught:
        sampler(service).sample(PROMPT).result()
    assert caught.value.retry_after == 7200
    assert len(script.sent("asample")) == 1


def test_without_retries_each_failure_is_the_callers(script: Script) -> None:
    """With retries off, 429 and 503 come out at once."""
    for status, error in ((429, RateLimitError), (503, ServerError)):
        script.on("POST asample", status)
        with scripted_service(script) as service, pytest.raises(error):
            sampler(service, enabled=False).sample(PROMPT).result()
    assert len(script.sent("asample")) == 2


def test_a_failure_that_may_pass_is_tried_again_under_the_same_number(script: Script) -> None:
    """503 and a broken connection repeat the bytes; the number stays."""
    script.on("POST asample", 503, httpx.ReadError("broken"), {"request_id": "asample-0"})
    with scripted_service(script) as service:
        sampler(service).sample(PROMPT).result()
    assert len(script.sent("asample")) == 3
    assert len({got.content for got in script.sent("asample")}) == 1


def test_a_refused_sample_is_not_tried_again(script: Script) -> None:
    """400 is the caller's mistake."""
    script.on("POST asample", (400, {"detail": "max_tokens"}))
    with scripted_service(script) as service, pytest.raises(BadRequestError, match="max_tokens"):
        sampler(service).sample(PROMPT).result()
    assert len(script.sent("asample")) == 1


@pytest.mark.holds("F18")
def test_a_lost_sample_is_sent_again_under_a_new_number(script: Script) -> None:
    """410 on polling means that the work is gone; sampling it again changes nothing."""
    script.results["asample-0"] = 410
    with scripted_service(script) as service:
        assert sampler(service).sample(PROMPT).result().sequences
    assert [body["seq_id"] for body in script.bodies("asample")] == [0, 1]


def test_a_sample_that_is_lost_again_and_again_gives_up(script: Script) -> None:
    """After as many resubmissions as were set, the loss is the caller's to know."""
    script.on("POST retrieve_future", 410)
    with scripted_service(script) as service, pytest.raises(FutureLostError):
        sampler(service, resubmissions=2).sample(PROMPT).result()
    assert [body["seq_id"] for body in script.bodies("asample")] == [0, 1, 2]


def test_a_failed_sample_is_not_sent_again(script: Script) -> None:
    """What the server worked on and refused would only fail again."""
    script.results["asample-0"] = {"error": "too long", "category": "user"}
    with scripted_service(script) as service, pytest.raises(RequestFailedError, match="too long"):
        sampler(service).sample(PROMPT).result()
    assert len(script.sent("asample")) == 1


def test_a_prompts_logprobs_are_one_for_each_token(script: Script) -> None:
    """compute_logprobs draws one token and gives the prompt's values, the first undefined."""
    script.results["asample-0"] = {**SAMPLE, "prompt_logprobs": [None, -0.5, -1.0]}
    with scripted_service(script) as service:
        assert sampler(service).compute_logprobs(PROMPT).result() == [None, -0.5, -1.0]
    body = script.bodies("asample")[0]
    assert body["sampling_params"]["max_tokens"] == 1
    assert body["prompt_logprobs"] is True


def test_a_server_that_leaves_out_the_first_logprob_is_completed(script: Script) -> None:
    """n - 1 values are those of the second token on; with images the count is the server's."""
    script.results["asample-0"] = {**SAMPLE, "prompt_logprobs": [-0.5, -1.0]}
    script.results["asample-1"] = {**SAMPLE, "prompt_logprobs": [None, -0.5]}
    with scripted_service(script) as service:
        client = sampler(service)
        assert client.compute_logprobs(PROMPT).result() == [None, -0.5, -1.0]
        picture = ModelInput([ImageChunk(b"x", "png")]).append_int(1)
        assert client.compute_logprobs(picture).result() == [None, -0.5]


def test_a_sample_gives_the_first_prompt_token_its_place(script: Script) -> None:
    """The prompt's values are one for each token whether the server counts the first or not."""
    short = {"prompt_logprobs": [-0.5, -1.0], "topk_prompt_logprobs": [[[7, -0.5]], [[8, -1.0]]]}
    whole = {"prompt_logprobs": [None, -0.5, -1.0], "topk_prompt_logprobs": None}
    for number, found in enumerate((short, whole, short)):
        script.results[f"asample-{number}"] = {**SAMPLE, **found}
    with scripted_service(script) as service:
        client = sampler(service)
        asked = {"include_prompt_logprobs": True}
        first = client.sample(PROMPT, 1, **asked).result()
        assert first.prompt_logprobs == [None, -0.5, -1.0]
        assert first.topk_prompt_logprobs == [None, [(7, -0.5)], [(8, -1.0)]]
        assert client.sample(PROMPT, 1, **asked).result().prompt_logprobs == [None, -0.5, -1.0]
        last = client.sample(PROMPT, 1, **asked, prompt_logprobs_last_n=2).result()
        assert last.prompt_logprobs == [-0.5, -1.0]


def test_logprobs_that_were_asked_for_and_did_not_come_are_an_error(script: Script) -> None:
    """A server that ignores prompt_logprobs is told apart from one that has none."""
    with scripted_service(script) as service, pytest.raises(DecodeError, match="prompt_logprobs"):
        sampler(service).compute_logprobs(PROMPT).result()


def test_only_so_many_samples_are_in_flight(script: Script, clock: FakeClock) -> None:
    """With two places, the third sample is sent when one of the first has its result."""
    polls: list[str] = []
    release = threading.Event()

    def poll(request: httpx.Request) -> Any:
        polls.append("poll")
        return SAMPLE if release.is_set() else (408, {"queue_state": "active"})

    script.on("POST retrieve_future", poll)
    with scripted_service(script, clock) as service:
        client = sampler(service, max_connections=2)
        futures = [client.sample(PROMPT) for _ in range(6)]
        clock.run_until(lambda: len(polls) > 20)
        assert len(script.sent("asample")) == 2
        release.set()
        clock.run_until(lambda: all(future.done() for future in futures))
    assert len(script.sent("asample")) == 6


def test_places_come_back_whatever_becomes_of_a_sample(script: Script, clock: FakeClock) -> None:
    """A sample that failed, and one whose session was closed meanwhile, free their place."""
    with scripted_service(script, clock) as service:
        client = sampler(service, max_connections=1)
        script.on("POST asample", 400, 400, {"request_id": "asample-0"})
        for _ in range(2):
            with pytest.raises(BadRequestError):
                client.sample(PROMPT).result()
        client.sample(PROMPT).result()
        limiter = service.session.limiter
        assert limiter.in_flight.taken == 0
        script.on("POST retrieve_future", (408, {}))
        waiting = client.sample(PROMPT)
        clock.run_until(lambda: waiting.request_id is not None)
        assert limiter.in_flight.taken == 1
    clock.run_until(lambda: limiter.in_flight.taken == 0)


def test_a_forgotten_sample_gives_its_place_back(script: Script, clock: FakeClock) -> None:
    """A sample that is neither waited for nor watched holds its place until its result is there."""
    script.on("POST asample", {"request_id": "asample-0"})
    with scripted_service(script, clock) as service:
        limiter = service.session.limiter
        sampler(service).sample(PROMPT)
        clock.run_until(lambda: len(script.sent("retrieve_future")) == 1)
        clock.run_until(lambda: limiter.in_flight.taken == 0)


@pytest.mark.parametrize(
    "setting",
    [
        {"max_connections": 0},
        {"resubmissions": -1},
        {"deadline": 0},
        {"deadline": float("nan")},
        {"deadline": "x"},
        {"deadline": None},
        {"on_limit": "panic"},
    ],
)
def test_a_retry_setting_that_cannot_be_is_refused(setting: dict[str, int]) -> None:
    """Settings of patience name the field that is wrong."""
    with pytest.raises(ValidationError) as caught:
        RetryConfig(**setting)
    assert caught.value.path == next(iter(setting))


def test_the_official_names_of_patience_are_taken() -> None:
    """They win over ours, and a client without stuck detection has no deadline."""
    given = RetryConfig(enable_retry_logic=False, progress_timeout=60, max_connections=3)
    assert (given.enabled, given.deadline, given.max_connections) == (False, 60.0, 3)
    assert RetryConfig(enable_stuck_detection=False).deadline > 10**8
    with pytest.raises(ValidationError, match="jitter_factor"):
        RetryConfig(jitter_factor=2.0)


def test_the_waits_of_a_sampler_are_those_that_it_was_given(
    script: Script, clock: FakeClock
) -> None:
    """First wait, growth and longest wait; without jitter they are exact."""
    script.on("POST asample", *[503] * 4, {"request_id": "asample-0"})
    script.results["asample-0"] = SAMPLE
    with scripted_service(script, clock) as service:
        began = clock.now()
        client = sampler(service, retry_delay_base=1.0, retry_delay_max=3.0, jitter_factor=0.0)
        client.sample(PROMPT, 1, PARAMS).result()
    assert clock.now() - began == pytest.approx(1 + 2 + 3 + 3)


def test_the_base_model_is_looked_up_once(script: Script) -> None:
    """A sampler of a path asks the server for its base model, the first time only."""
    script.on("GET samplers/SS", {"sampler_id": "SS", "base_model": "B"})
    with scripted_service(script) as service:
        client = service.create_sampling_client("tinker://M/sampler_weights/a")
        assert [client.get_base_model(), client.get_base_model()] == ["B", "B"]
    assert script.paths().count("GET samplers/SS") == 1


def test_a_prompt_is_sent_as_it_was_when_it_was_given(script: Script) -> None:
    """Samples are sent later by another thread; a reused token buffer does not change them."""
    script.on("POST asample", 503, {"request_id": "asample-0"})
    tokens = np.array([1, 2, 3])
    with scripted_service(script) as service:
        future = sampler(service).sample(ModelInput.from_ints(tokens))
        tokens[:] = 9
        future.result()
    assert script.bodies("asample")[-1]["prompt"]["chunks"][0]["tokens"] == [1, 2, 3]


def test_an_unreadable_answer_does_not_repeat_the_key() -> None:
    """A proxy's page that echoes the request is quoted in the error without the API key."""
    key = "tml-canary-0123456789"
    script = Script().on("POST create_sampling_session", {"sampling_session_id": "SS"})
    script.on("POST asample", (200, f"<html>you sent {key}</html>".encode()))
    with scripted_service(script, api_key=key) as service:
        sampler = service.create_sampling_client(base_model="B")
        with pytest.raises(DecodeError, match="you sent") as caught:
            sampler.sample(ModelInput.from_ints([1])).result()
    assert key not in str(caught.value)


def test_a_finished_sample_is_freed_without_the_garbage_collector(script: Script) -> None:
    """Thousands of them would otherwise wait for it, with their prompts."""
    with scripted_service(script) as service:
        future = sampler(service).sample(PROMPT, 1, PARAMS)
        future.result()
        freed = weakref.ref(future)
        ended = threading.Event()
        gc.disable()
        try:
            # The loop's thread drops its own references right after it has woken the caller.
            loop.call_soon(ended.set)
            ended.wait()
            del future
            assert freed() is None
        finally:
            gc.enable()
