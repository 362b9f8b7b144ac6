"""Hold the SDK to telling of what it does, from the call down to each attempt."""

from __future__ import annotations

import subprocess
import sys

import httpx
import numpy as np
import pytest
from support.scripted import Script, promises, scripted_service

from tinkex import ModelInput, SamplingParams, events
from tinkex._core.queue_state import QueueStateChange
from tinkex.errors import FutureTimeoutError, RequestFailedError, TinkexError
from tinkex.observability.events import Event
from tinkex.regularizers import L1, Pipeline, RegularizerSpec

PROMPT = "the prompt nobody may see"


@pytest.fixture
def heard():
    """Collect every event of the test."""
    found: list[Event] = []
    with events.subscribe(found.append):
        yield found


def names(heard: list[Event], part: str) -> list[str]:
    return [event.name.removeprefix("tinkex.") for event in heard if part in event.name]


def of(heard: list[Event], kind: type[Event]) -> list:
    return [event for event in heard if type(event) is kind]


def test_a_request_is_told_at_its_start_and_at_its_end(heard: list[Event]) -> None:
    """With operation, path, status, sizes and duration; the session is named once there is one."""
    script = Script().on("POST create_sampling_session", {"sampling_session_id": "sam"})
    with scripted_service(script) as service:
        service.create_sampling_client(base_model="m")
    stops = {event.operation: event for event in of(heard, events.HttpRequestStop)}
    assert stops["create_session"].session_id is None
    made = stops["create_sampling_session"]
    assert (made.method, made.path) == ("POST", "/api/v1/create_sampling_session")
    assert (made.status_code, made.result, made.retries) == (200, "ok", 0)
    assert made.session_id == "S"
    assert made.sent_bytes == len(script.sent("create_sampling_session")[0].content)
    assert made.received_bytes > 0
    starts = [event.operation for event in of(heard, events.HttpRequestStart)]
    assert sorted(starts) == sorted(
        [event.operation for event in of(heard, events.HttpRequestStop)]
    )


def test_each_attempt_is_told_and_so_is_the_wait_before_the_next(heard: list[Event]) -> None:
    """Two failures and a success are start, retry, start, retry, start, stop, counted from 0."""
    script = Script().on(
        "GET get_server_capabilities", 503, httpx.ReadError("reset"), {"supported_models": []}
    )
    with scripted_service(script) as service:
        service.get_server_capabilities()
    attempts = [event for event in heard if isinstance(event, events.RetryAttempt)]
    assert [(event.name.rpartition(".")[2], event.attempt) for event in attempts] == [
        ("start", 0), ("retry", 0), ("start", 1), ("retry", 1), ("start", 2), ("stop", 2),
    ]  # fmt: skip
    first, second = of(heard, events.RetryAttemptRetry)
    assert (first.error_type, first.status_code, first.delay) == ("ServerError", 503, 0.5)
    assert (second.status_code, second.delay) == (None, 1.0)
    assert of(heard, events.HttpRequestStop)[-1].retries == 2


def test_an_exhausted_call_is_told_as_failed(heard: list[Event]) -> None:
    """The last attempt is failed; a status is a stop with an error, no answer is an exception."""
    script = Script().on("GET get_server_capabilities", 500).on("GET healthz", httpx.ReadError("x"))
    with scripted_service(script, max_retries=1) as service:
        for call in (service.get_server_capabilities, service.health_check):
            with pytest.raises(TinkexError):
                call()
    assert [event.attempt for event in of(heard, events.RetryAttemptFailed)] == [1, 1]
    stop = of(heard, events.HttpRequestStop)[0]
    assert (stop.status_code, stop.result, stop.retries) == (500, "error", 1)
    gone = of(heard, events.HttpRequestException)[0]
    assert (gone.operation, gone.retries) == ("healthz", 1)


def test_a_sample_is_told_from_the_call_to_its_tokens(heard: list[Event]) -> None:
    """Its polls name the call they serve; its end and its tokens are told before the result is out."""
    script = Script().on("POST create_sampling_session", {"sampling_session_id": "sam"})
    promises(script, "POST asample", {"sequences": [{"tokens": [5, 6], "stop_reason": "length"}]})
    with scripted_service(script) as service:
        sampler = service.create_sampling_client(base_model="the-model")
        future = sampler.sample(ModelInput.from_ints([1, 2, 3]), 1, SamplingParams(max_tokens=2))
        future.result(timeout=30)
        stop = of(heard, events.FutureStop)[0]
        tokens = of(heard, events.TokensUsed)[0]
    start = of(heard, events.FutureStart)[0]
    assert (start.operation, start.subject, start.model) == ("sample", "sam", "the-model")
    assert (stop.outcome, stop.request_id, stop.session_id) == ("ok", "asample-0", "S")
    assert (tokens.operation, tokens.model) == ("sample", "the-model")
    assert (tokens.prompted, tokens.sampled, tokens.trained) == (3, 2, 0)
    polls = [
        event for event in of(heard, events.HttpRequestStop) if event.operation == "retrieve_future"
    ]
    assert {(poll.caller, poll.model) for poll in polls} == {("sample", "the-model")}


def test_what_goes_wrong_with_a_future_has_a_name_of_its_own(heard: list[Event]) -> None:
    """A wait that gives up is a timeout and leaves the future; a failed job is request_failed."""
    script = Script().on("POST create_model", {"request_id": "m"})
    script.on("POST optim_step", {"request_id": "o"})
    pending = {"type": "try_again", "request_id": "o", "queue_state": "paused_capacity"}
    script.on(
        "POST retrieve_future",
        {"type": "create_model", "model_id": "M"},
        pending, pending, pending, {"error": PROMPT, "category": "user"},
    )  # fmt: skip
    with scripted_service(script) as service:
        step = service.create_lora_training_client("base").optim_step()
        with pytest.raises(FutureTimeoutError):
            step.result(timeout=0.0)
        with pytest.raises(RequestFailedError):
            step.result()
    assert names(heard, "future.")[-4:] == [
        "future.start", "future.timeout", "future.request_failed", "future.stop",
    ]  # fmt: skip
    failed = of(heard, events.FutureRequestFailed)[0]
    assert (failed.category, failed.subject, failed.model) == ("user", "M", "base")
    assert of(heard, events.FutureStop)[-1].error_type == "RequestFailedError"
    change = of(heard, QueueStateChange)[0]
    assert (change.name, change.state) == ("tinkex.queue.state_change", "paused_capacity")
    assert PROMPT not in repr(heard)


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (410, events.FutureApiError),
        (422, events.FutureRequestFailed),
        ((200, b"no json"), events.FutureValidationError),
        (httpx.ConnectError("no"), events.FutureConnectionError),
    ],
)
def test_other_troubles_are_told_apart(
    heard: list[Event], answer: object, kind: type[Event]
) -> None:
    """A refusal, an answer that cannot be read, and no answer for too long are three things."""
    script = Script().on("POST create_model", {"type": "create_model", "model_id": "M"})
    script.on("POST optim_step", {"request_id": "o"}).on("POST retrieve_future", answer)
    with scripted_service(script) as service:
        step = service.create_lora_training_client("base").optim_step()
        with pytest.raises(TinkexError):
            step.result()
    assert [event for event in heard if isinstance(event, events.FutureTrouble)] == of(heard, kind)


def test_a_cancelled_sample_is_told_once(heard: list[Event]) -> None:
    """Its future stops as cancelled, whatever the threads that stepped it find afterwards."""
    script = Script().on("POST create_sampling_session", {"sampling_session_id": "sam"})
    script.on("POST asample", {"request_id": "a"})
    script.on("POST retrieve_future", {"type": "try_again", "request_id": "a"})
    with scripted_service(script) as service:
        sampler = service.create_sampling_client(base_model="m")
        future = sampler.sample(ModelInput.from_ints([1]))
        assert future.cancel()
    stops = [event for event in of(heard, events.FutureStop) if event.operation == "sample"]
    assert [event.outcome for event in stops] == ["cancelled"]


def test_a_loss_and_its_regularizers_are_told(heard: list[Event]) -> None:
    """Start and stop of the whole and of each term, with values; a failure by its class alone."""
    pipeline = Pipeline([RegularizerSpec(L1(), 0.5, name="size")])
    pipeline.compute([], [-1.0, -3.0], lambda data, logprobs: -np.mean(logprobs))

    def broken(data: object, logprobs: object) -> float:
        raise RuntimeError(PROMPT)

    with pytest.raises(RuntimeError):
        pipeline.compute([], [-1.0], broken)
    assert names(heard, "")[:6] == [
        "custom_loss.start", "regularizer.compute.start", "regularizer.compute.stop",
        "custom_loss.stop", "custom_loss.start", "custom_loss.exception",
    ]  # fmt: skip
    stop = of(heard, events.RegularizerComputeStop)[0]
    assert (stop.regularizer_name, stop.value, stop.contribution) == ("size", 4.0, 2.0)
    total = of(heard, events.CustomLossStop)[0]
    assert (total.loss_total, total.regularizer_total) == (4.0, 2.0)
    assert of(heard, events.CustomLossException)[0].error_type == "RuntimeError"
    assert PROMPT not in repr(heard)


def test_every_event_has_a_name_and_a_place_on_the_bus() -> None:
    """Names are distinct, dotted and of tinkex; all of __all__ can be had, and nothing else."""
    kinds = [getattr(events, name) for name in events.__all__]
    kinds = [kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Event)]
    assert len({kind.name for kind in kinds}) == len(kinds)
    assert all(kind.name.startswith("tinkex") for kind in kinds)
    with pytest.raises(AttributeError, match="Nothing"):
        _ = events.Nothing


def test_a_quiet_program_loads_nothing_of_what_events_need() -> None:
    """Neither the classes of events nor what makes them, though it samples and trains."""
    code = (
        "import sys, tinkex\n"
        "with tinkex.ServiceClient(base_url='local') as service:\n"
        "    service.create_lora_training_client('tinkex/nano', rank=4).optim_step().result()\n"
        "print(*sys.modules)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = set(done.stdout.split())
    assert "tinkex._core.instrumentation" in loaded
    late = ("events.kinds", "events.lines", "metrics", "tracing")
    assert not {f"tinkex.{name}" for name in late} & loaded


def test_calls_made_while_no_handler_listens_are_not_followed() -> None:
    """A future of a quiet program carries nothing of what events need."""
    script = Script().on("POST create_sampling_session", {"sampling_session_id": "sam"})
    promises(script, "POST asample", {"sequences": [{"tokens": [5], "stop_reason": "length"}]})
    with scripted_service(script) as service:
        sampler = service.create_sampling_client(base_model="m")
        future = sampler.sample(ModelInput.from_ints([1]))
        assert future._observer._is_silent
        future.result(timeout=30)


def test_a_handler_that_makes_a_blocking_call_is_told_what_to_do(caplog) -> None:
    """It runs where all exchanges are done, so the call would wait for itself; others go on."""
    script = Script().on("GET get_server_capabilities", {"supported_models": []})
    with scripted_service(script) as service:

        def handler(event: Event) -> None:
            service.get_server_capabilities()

        with events.subscribe(handler, events.HttpRequestStop):
            assert service.get_server_capabilities().supported_models == []
    assert len(script.sent("get_server_capabilities")) == 1
    assert "Hand the work to another thread" in caplog.text
