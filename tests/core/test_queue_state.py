"""What the server's queue says reaches whoever wants to know, and the log not too often."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from support.calls import HeldAnswer
from support.clock import FakeClock
from support.scripted import Script, promises, scripted_service

from tinkex import (
    AdamParams,
    Datum,
    Future,
    ModelInput,
    SamplingClient,
    SamplingParams,
    TrainingClient,
    ValidationError,
)
from tinkex._core.queue_state import SILENCE, QueueStateChange, QueueWatch

TRY_AGAIN = {"type": "try_again", "request_id": "r"}
PAUSED = {**TRY_AGAIN, "queue_state": "paused_capacity", "queue_state_reason": "short"}
ACTIVE = {**TRY_AGAIN, "queue_state": "active"}
STEP = {"metrics": {}}


def change(state: str = "paused_capacity", **facts: Any) -> QueueStateChange:
    facts = {"reason": "short", "operation": "optim_step", "subject": "M", **facts}
    return QueueStateChange(state=state, **facts)


@pytest.fixture
def watch(clock: FakeClock) -> QueueWatch:
    return QueueWatch(clock)


@pytest.mark.holds("F23")
def test_a_pause_is_logged_once_a_minute_for_each_model(
    watch: QueueWatch, clock: FakeClock, caplog
) -> None:
    """Whatever its state, a model or sampler has one line in sixty seconds (C69)."""
    with caplog.at_level(logging.WARNING, logger="tinkex.queue"):
        watch.note(change())
        clock.advance(SILENCE / 2)
        watch.note(change("paused_rate_limit"))
        watch.note(change(subject="SS", operation="sample", reason="full"))
        clock.advance(SILENCE / 2 - 1)
        watch.note(change())
        assert len(caplog.messages) == 2
        clock.advance(1)
        watch.note(change(reason="still short"))
    assert caplog.messages == [
        "Training is paused for M. Reason: short",
        "Sampling is paused for SS. Reason: full",
        "Training is paused for M. Reason: still short",
    ]


def test_an_active_queue_is_never_logged(watch: QueueWatch, caplog) -> None:
    """What goes on needs no line, and does not silence the next pause."""
    with caplog.at_level(logging.DEBUG, logger="tinkex.queue"):
        watch.note(change("active", reason=None))
    assert caplog.messages == []


@pytest.mark.parametrize(
    ("state", "operation", "said", "reason"),
    [
        ("paused_rate_limit", "sample", "", "concurrent sampler weights limit hit"),
        ("paused_rate_limit", "optim_step", None, "concurrent training clients rate limit hit"),
        ("paused_capacity", "sample", None, "Tinker backend is running short on capacity, please wait"),
        ("paused_elsewhere", "sample", None, "unknown"),
        ("paused_capacity", "sample", "the server's own", "the server's own"),
    ],
)  # fmt: skip
def test_a_pause_without_a_reason_has_the_usual_one(
    script: Script, clock: FakeClock, state: str, operation: str, said: Any, reason: str
) -> None:
    """The server's reason comes first; an empty one counts as none (C69)."""
    heard: list[QueueStateChange] = []
    paused = {**TRY_AGAIN, "queue_state": state, "queue_state_reason": said}
    script.on("POST create_model", {"model_id": "M"})
    script.on("POST create_sampling_session", {"sampling_session_id": "SS"})
    script.on("POST optim_step", {"request_id": "r"}).on("POST asample", {"request_id": "r"})
    done = {"sequences": [], "metrics": {}}
    script.on("POST retrieve_future", paused, done)
    with scripted_service(script, clock, on_queue_state=heard.append) as service:
        if operation == "sample":
            sampler = service.create_sampling_client(base_model="B")
            sampler.sample(ModelInput.from_ints([1]), 1, SamplingParams(max_tokens=1)).result()
        else:
            service.create_lora_training_client("B").optim_step(AdamParams()).result()
    assert [(one.state, one.reason, one.subject) for one in heard] == [
        (state, reason, "SS" if operation == "sample" else "M")
    ]
    assert heard[0].is_paused
    assert (heard[0].request_id, heard[0].session_id, heard[0].operation) == ("r", "S", operation)


@pytest.mark.holds("F23")
def test_observers_hear_every_change_in_order_and_repetitions_once(
    script: Script, clock: FakeClock
) -> None:
    """A new state or reason is news; the same again is none (C29, C30, F23)."""
    promises(script, "POST optim_step", STEP)
    script.on("POST create_model", {"model_id": "M"})
    first = HeldAnswer(ACTIVE)
    script.on(
        "POST retrieve_future",
        first, PAUSED, PAUSED, (408, {**PAUSED, "queue_state_reason": "shorter"}), ACTIVE, STEP,
    )  # fmt: skip
    everywhere: list[QueueStateChange] = []
    here: list[QueueStateChange] = []
    with scripted_service(script, clock, on_queue_state=everywhere.append) as service:
        future = service.create_lora_training_client("B").optim_step()
        future.add_queue_state_callback(here.append)
        first.let_go()
        future.result()
    states = [(one.state, one.reason) for one in here]
    assert states == [
        ("active", None), ("paused_capacity", "short"), ("paused_capacity", "shorter"), ("active", None),
    ]  # fmt: skip
    assert everywhere == here


def test_a_late_callback_hears_the_present_state_at_once(script: Script, clock: FakeClock) -> None:
    """Whoever asks after the first poll is told what was heard so far."""
    poll = HeldAnswer(STEP)
    script.on("POST create_model", {"model_id": "M"})
    script.on("POST optim_step", {"request_id": "r"}).on("POST retrieve_future", PAUSED, poll)
    heard: list[str] = []
    with scripted_service(script, clock) as service:
        future = service.create_lora_training_client("B").optim_step()
        poll.wait()
        future.add_queue_state_callback(lambda one: heard.append(one.state))
        assert heard == ["paused_capacity"]
        poll.let_go()
        future.result()


@pytest.mark.holds("F23")
def test_a_callback_added_while_a_change_is_reported_hears_it_once(
    script: Script, clock: FakeClock
) -> None:
    """The change is known and about to be reported when the callback comes."""
    heard: list[str] = []
    future: Future[Any]

    def add(change: QueueStateChange) -> None:
        if not heard:
            future.add_queue_state_callback(lambda one: heard.append(one.state))

    first = HeldAnswer(PAUSED)
    script.on("POST create_model", {"model_id": "M"})
    script.on("POST optim_step", {"request_id": "r"})
    script.on("POST retrieve_future", first, ACTIVE, STEP)
    with scripted_service(script, clock, on_queue_state=add) as service:
        future = service.create_lora_training_client("B").optim_step()
        first.let_go()
        future.result()
    assert heard == ["paused_capacity", "active"]


@pytest.mark.holds("F23")
def test_a_slow_callback_hears_changes_in_order_and_holds_no_poll(
    script: Script, clock: FakeClock
) -> None:
    """The result comes while the callback is still told the state from before."""
    heard: list[str] = []
    poll = HeldAnswer(ACTIVE)
    script.on("POST create_model", {"model_id": "M"})
    script.on("POST optim_step", {"request_id": "r"}).on("POST retrieve_future", PAUSED, poll, STEP)
    with scripted_service(script, clock) as service:
        future = service.create_lora_training_client("B").optim_step()
        poll.wait()

        def slow(change: QueueStateChange) -> None:
            if change.is_paused:
                poll.let_go()
                future.result(timeout=60)
            heard.append(change.state)

        future.add_queue_state_callback(slow)
    assert heard == ["paused_capacity", "active"]


def _paused_once(script: Script, *results: Any) -> None:
    """Each of the next requests is paused, goes on, and has its result."""
    script.on("POST create_model", {"model_id": "M"})
    script.on("POST create_sampling_session", {"sampling_session_id": "SS"})
    for operation in ("forward", "forward_backward", "optim_step", "asample", *WEIGHTS):
        script.on(f"POST {operation}", {"request_id": "r"})
    script.on("POST retrieve_future", *(answer for one in results for answer in (PAUSED, one)))


WEIGHTS = ("save_weights", "load_weights", "save_weights_for_sampler", "save_weights_external")
DATUM = Datum(ModelInput.from_ints([1]), {"target_tokens": [1], "weights": [1.0]})
OUTPUT = {
    "loss_fn_output_type": "TensorData",
    "loss_fn_outputs": [{"logprobs": {"data": [-1.0], "dtype": "float32", "shape": [1]}}],
    "metrics": {"loss:sum": 1.0},
}
SAMPLE = {"sequences": [], "prompt_logprobs": [None]}
CALLS: dict[str, tuple[list[Any], Callable[[TrainingClient, SamplingClient, Any], Any]]] = {
    "forward": ([OUTPUT], lambda t, s, o: t.forward([DATUM], "cross_entropy", **o)),
    "forward_backward": ([OUTPUT], lambda t, s, o: t.forward_backward([DATUM], "ppo", **o)),
    "forward_backward_custom": (
        [OUTPUT, OUTPUT],
        lambda t, s, o: t.forward_backward_custom([DATUM], lambda d, lps: (-lps[0].sum(), {}), **o),
    ),
    "optim_step": ([STEP], lambda t, s, o: t.optim_step(**o)),
    "train_step": ([OUTPUT, STEP], lambda t, s, o: t.train_step([DATUM], "cross_entropy", **o)),
    "save_state": ([{"path": "p"}], lambda t, s, o: t.save_state("a", **o)),
    "load_state": ([{"path": "p"}], lambda t, s, o: t.load_state("tinker://r/weights/a", **o)),
    "load_state_with_optimizer": (
        [{"path": "p"}],
        lambda t, s, o: t.load_state_with_optimizer("tinker://r/weights/a", **o),
    ),
    "save_weights_for_sampler": (
        [{"path": "p"}],
        lambda t, s, o: t.save_weights_for_sampler("a", **o),
    ),
    "save_weights_external": ([{"path": "p"}], lambda t, s, o: t.save_weights_external("a", **o)),
    "sample": ([SAMPLE], lambda t, s, o: s.sample(DATUM.model_input, **o)),
    "sample_many": ([SAMPLE], lambda t, s, o: s.sample_many([DATUM.model_input], **o)),
    "compute_logprobs": ([SAMPLE], lambda t, s, o: s.compute_logprobs(DATUM.model_input, **o)),
}


@pytest.mark.parametrize("call", CALLS)
def test_a_call_has_an_observer_of_its_own(script: Script, clock: FakeClock, call: str) -> None:
    """It hears of each request of this call from the start, and of no other; one that is no function is refused."""
    results, make = CALLS[call]
    _paused_once(script, *results, STEP)
    heard: list[QueueStateChange] = []
    with scripted_service(script, clock) as service:
        training = service.create_lora_training_client("B")
        sampler = service.create_sampling_client(base_model="B")
        sent = len(script.received)
        with pytest.raises(ValidationError, match="queue_state_observer: must be a function"):
            for _ in make(training, sampler, {"queue_state_observer": "print"}):
                pass
        assert len(script.received) == sent
        made = make(training, sampler, {"queue_state_observer": heard.append})
        for future in made if isinstance(made, Iterable) else [made]:
            if isinstance(future, Future):
                future.result()
        training.optim_step().result()
    assert [(one.state, one.reason) for one in heard] == [("paused_capacity", "short")] * len(
        results
    )


def test_an_observer_that_fails_hurts_no_call(script: Script, clock: FakeClock, caplog) -> None:
    """Its error is logged; the result comes all the same."""

    def broken(one: QueueStateChange) -> None:
        raise RuntimeError("observer")

    script.on("POST create_model", {"model_id": "M"})
    script.on("POST optim_step", {"request_id": "r"}).on("POST retrieve_future", PAUSED, STEP)
    with scripted_service(script, clock, on_queue_state=broken) as service:
        future = service.create_lora_training_client("B").optim_step()
        future.add_queue_state_callback(broken)
        future.result()
    assert caplog.messages.count("a queue state observer failed") == 2


def test_an_observer_that_was_removed_hears_nothing(watch: QueueWatch) -> None:
    """Removing is final, and removing twice no error."""
    heard: list[QueueStateChange] = []
    watch.add(heard.append)
    observer = heard.append
    watch.remove(observer)
    watch.remove(observer)
    watch.note(change())
    assert heard == []


def test_a_429_says_why_sampling_is_paused(script: Script, clock: FakeClock, caplog) -> None:
    """The reason in its body reaches the log and the observers, on one line (C49)."""
    heard: list[QueueStateChange] = []
    full = {"queue_state": "paused_rate_limit", "queue_state_reason": "too many samplers"}
    script.on("POST create_sampling_session", {"sampling_session_id": "SS"})
    script.on(
        "POST asample",
        (429, full),
        (429, {"queue_state": "odd"}),
        (429, b"busy"),
        {"request_id": "r"},
    )
    script.on("POST retrieve_future", {"sequences": []})
    here: list[QueueStateChange] = []
    with scripted_service(script, clock, on_queue_state=heard.append) as service:
        sampler = service.create_sampling_client(base_model="B")
        sampler.sample(ModelInput.from_ints([1]), queue_state_observer=here.append).result()
    assert here == heard
    assert "Sampling is paused for SS. Reason: too many samplers" in caplog.messages
    assert [(one.state, one.reason, one.subject) for one in heard] == [
        ("paused_rate_limit", "too many samplers", "SS")
    ]
