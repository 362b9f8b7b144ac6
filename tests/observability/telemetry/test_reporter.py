"""What leaves the process as telemetry, and what never does."""

from __future__ import annotations

import json
import logging
import math
import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest

from tinkex import events as bus
from tinkex._core.queue_state import QueueStateChange
from tinkex._core.transport import Transport
from tinkex.config import Config
from tinkex.errors import BadRequestError, RateLimitError, ServerError, ValidationError
from tinkex.observability.events import emit
from tinkex.observability.telemetry import TelemetryReporter
from tinkex.observability.telemetry.events import exception, plain, user_error

KEY = "tml-canary-0123456789"


class Inbox:
    """Keep what a reporter sends, and answer as a test asks."""

    def __init__(self) -> None:
        self.bodies: list[dict[str, object]] = []
        self.statuses: list[int] = []
        # An event of this name makes the server refuse the whole batch.
        self.refused_name = ""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        if any(event.get("event_name") == self.refused_name for event in body["events"]):
            return httpx.Response(422, json={"detail": f"no: {KEY}"})
        self.bodies.append(body)
        status = self.statuses.pop(0) if self.statuses else 200
        return httpx.Response(status, json={"status": "accepted"})

    @property
    def events(self) -> list[dict[str, object]]:
        return [event for body in self.bodies for event in body["events"]]  # type: ignore[attr-defined]


@pytest.fixture
def inbox() -> Inbox:
    return Inbox()


@pytest.fixture
def make(inbox: Inbox) -> Iterator[Callable[..., TelemetryReporter]]:
    """Make reporters that are stopped at the end of the test."""
    config = Config.resolve(api_key=KEY, base_url="https://tinker.example", environ={})
    transport = Transport(config, http_transport=httpx.MockTransport(inbox), jitter=lambda _: 0.0)
    made: list[TelemetryReporter] = []

    def build(**settings: object) -> TelemetryReporter:
        made.append(TelemetryReporter(transport, "session-1", **settings))  # type: ignore[arg-type]
        return made[-1]

    yield build
    for reporter in made:
        assert reporter.stop()
    transport.close()


def test_a_session_is_framed_by_its_start_and_end(
    make: Callable[..., TelemetryReporter], inbox: Inbox
) -> None:
    """The first event is the start, the last the end, numbered without a gap, each with an id."""
    reporter = make()
    assert reporter.log("epoch_done", {"epoch": 1})
    assert reporter.stop()
    assert reporter.stop()
    names = [event["event"] for event in inbox.events]
    assert names == ["SESSION_START", "GENERIC_EVENT", "SESSION_END"]
    assert [event["event_session_index"] for event in inbox.events] == [0, 1, 2]
    assert len({event["event_id"] for event in inbox.events}) == 3
    assert inbox.bodies[0]["session_id"] == "session-1"


def test_flush_sends_what_is_queued_in_batches(
    make: Callable[..., TelemetryReporter], inbox: Inbox
) -> None:
    """One flush sends everything, at most a batch in each request, and says that it is done."""
    reporter = make(batch_size=2, flush_interval=3600.0)
    for number in range(4):
        reporter.log("step", {"number": number})
    assert reporter.flush(timeout=10)
    assert [len(body["events"]) for body in inbox.bodies] == [2, 2, 1]  # type: ignore[arg-type]


def test_a_full_batch_is_sent_without_being_asked(
    make: Callable[..., TelemetryReporter], inbox: Inbox
) -> None:
    """Reaching the threshold sends at once, long before the interval."""
    reporter = make(flush_threshold=3, flush_interval=3600.0)
    reporter.log("a")
    reporter.log("b")
    assert reporter.wait_until_drained(timeout=10)
    assert len(inbox.events) == 3


def test_a_full_queue_drops_the_event_and_says_so(
    make: Callable[..., TelemetryReporter], inbox: Inbox
) -> None:
    """Nothing blocks and nothing raises when there is no room."""
    reporter = make(queue_size=1, flush_interval=3600.0)
    accepted = [reporter.log("event") for _ in range(3)]
    assert not all(accepted)


def test_a_failing_server_is_tried_three_times_and_then_given_up(
    make: Callable[..., TelemetryReporter], inbox: Inbox
) -> None:
    """The batch is dropped after three attempts with the same events, and flush says so once."""
    inbox.statuses = [500, 503, 500]
    reporter = make(flush_interval=3600.0)
    assert not reporter.flush(timeout=10)
    assert reporter.undelivered == 1
    assert [body["events"] for body in inbox.bodies] == [inbox.bodies[0]["events"]] * 3
    assert reporter.log("later")
    assert reporter.flush(timeout=10)
    assert inbox.events[-1]["event_name"] == "later"


@pytest.mark.holds("S4")
def test_an_errors_message_and_the_users_paths_never_leave(
    make: Callable[..., TelemetryReporter], inbox: Inbox
) -> None:
    """An exception is told by class, status and place; its text may quote a prompt or a key."""
    reporter = make()
    said = f"prompt text with {KEY} in /home/somebody/secret.py"
    with pytest.raises(ServerError) as caught:
        raise ServerError(said, status_code=500)
    assert reporter.log_fatal_exception(caught.value)
    text = json.dumps(inbox.bodies)
    for canary in (KEY, "prompt text", "somebody", "secret.py", __file__):
        assert canary not in text
    event = next(event for event in inbox.events if event["event"] == "UNHANDLED_EXCEPTION")
    assert event["error_type"] == "ServerError"
    assert "status_code=500" in str(event["error_message"])
    assert event["traceback"]
    assert inbox.events[-1]["event"] == "SESSION_END"


@pytest.mark.parametrize(
    ("error", "is_user"),
    [
        (BadRequestError("no", status_code=400), True),
        (ValidationError("no"), True),
        (RateLimitError("slow", status_code=429), False),
        (ServerError("broken", status_code=500), False),
        (RuntimeError("bug"), False),
    ],
)
def test_what_the_user_can_mend_is_no_unhandled_exception(error: Exception, is_user: bool) -> None:
    """4xx but 408, 410 and 429, and the user category, are generic events of severity WARNING."""
    event = exception(0, error, "ERROR")
    assert (event.event == "GENERIC_EVENT") is is_user
    assert event.severity == ("WARNING" if is_user else "ERROR")


def test_the_chain_of_causes_is_searched_even_when_it_is_a_circle() -> None:
    """A user error behind another error counts; a circle of causes ends."""
    outer, inner = RuntimeError("outer"), BadRequestError("inner", status_code=422)
    outer.__cause__ = inner
    assert user_error(outer) is inner
    first, second = RuntimeError("a"), RuntimeError("b")
    first.__cause__, second.__cause__ = second, first
    assert user_error(first) is None


@pytest.mark.holds("S4")
def test_event_data_keeps_kinds_and_drops_contents() -> None:
    """Booleans and None stay what they are; long text is cut; tensors and dicts become their type."""
    kept = plain(
        {"ok": True, "none": None, "n": 1.5, "text": "x" * 500, "data": [1, 2], "d": {"a": 1}}
    )
    assert kept["ok"] is True
    assert kept["none"] is None
    assert len(kept["text"]) == 200
    assert (kept["data"], kept["d"]) == ("list", "dict")
    assert len(plain({str(i): i for i in range(100)})) == 32


@pytest.mark.holds("S4")
def test_strings_lose_keys_and_paths_of_this_machine(
    make: Callable[..., TelemetryReporter], inbox: Inbox
) -> None:
    """Names of models and of checkpoints stay; the key and where files lie do not leave."""
    reporter = make()
    told = {
        "model": "meta-llama/Llama-3.1-8B",
        "state": "tinker://run-1/weights/a",
        "said": f"the key {KEY} of /home/somebody/run.py",
        "windows": r"C:\Users\somebody\run.py",
        "relative": "../somebody/x and ~/somebody",
        "ratio": "1/2, and/or",
    }
    assert reporter.log("my_event", told)
    assert reporter.flush(timeout=10)
    sent = inbox.events[-1]["event_data"]
    assert sent == {
        **told,
        "said": "the key [REDACTED] of [PATH]",
        "windows": "[PATH]",
        "relative": "[PATH] and [PATH]",
    }


def test_what_the_sdk_does_in_its_session_is_told_too(
    make: Callable[..., TelemetryReporter], inbox: Inbox
) -> None:
    """Requests that end, the queue and failed futures; no other session's, and no healthy poll."""
    reporter = make()
    facts = {"method": "POST", "path": "/home/canary", "base_url": "http://canary"}
    answered = {**facts, "status_code": 200, "result": "ok", "duration": 0.5}
    ours = {"session_id": "session-1"}
    emit(bus.HttpRequestStop(operation="asample", **answered, **ours))
    emit(bus.HttpRequestStop(operation="asample", **answered, session_id="session-2"))
    emit(bus.HttpRequestStop(operation="retrieve_future", **answered, **ours))
    emit(bus.HttpRequestStop(operation="send_telemetry", **answered, **ours))
    emit(bus.HttpRequestException(operation="asample", **facts, error_type="X", duration=1, **ours))
    emit(QueueStateChange(state="paused_capacity", reason="full", operation="sample", **ours))
    emit(bus.FutureRequestFailed(operation="optim_step", error_type="Y", duration=1, **ours))
    assert reporter.flush(timeout=10)
    told = [event for event in inbox.events if event["event"] == "GENERIC_EVENT"]
    assert [(event["event_name"], event["severity"]) for event in told] == [
        ("tinkex.http.request.stop", "INFO"),
        ("tinkex.http.request.exception", "ERROR"),
        ("tinkex.queue.state_change", "INFO"),
        ("tinkex.future.request_failed", "ERROR"),
    ]
    assert told[0]["event_data"] == {
        "operation": "asample", "method": "POST", "status_code": 200, "result": "ok",
        "duration": 0.5, "retries": 0,
    }  # fmt: skip
    assert "canary" not in json.dumps(inbox.bodies)


def test_a_reporter_of_own_events_alone_does_not_listen(
    make: Callable[..., TelemetryReporter],
) -> None:
    """With attach_events=False nobody listens, and after stop nobody does either."""
    make(attach_events=False)
    assert not bus.has_subscribers()
    reporter = make()
    assert bus.has_subscribers()
    reporter.stop()
    assert not bus.has_subscribers()


def test_the_causes_of_an_error_are_told_by_their_classes(
    make: Callable[..., TelemetryReporter], inbox: Inbox
) -> None:
    """Each with its status and its place in tinkex, and with none of their words."""
    reporter = make()
    error = RuntimeError("canary two")
    error.__cause__ = ServerError("canary one", status_code=503)
    assert reporter.log_exception(error, "CRITICAL")
    assert reporter.flush(timeout=10)
    event = inbox.events[-1]
    assert (event["error_type"], event["severity"]) == ("RuntimeError", "CRITICAL")
    assert "; caused by error_type=ServerError, status_code=503" in str(event["error_message"])
    assert "caused by\nServerError" in str(event["traceback"])
    assert "canary" not in json.dumps(inbox.bodies)


def test_a_hidden_context_is_not_told_as_a_cause() -> None:
    """`raise ... from None` cuts the chain."""
    error = RuntimeError("outer")
    error.__context__ = BadRequestError("inner", status_code=422)
    assert user_error(error) is not None
    error.__suppress_context__ = True
    assert user_error(error) is None


def test_stop_keeps_its_deadline_while_the_server_does_not_answer(inbox: Inbox) -> None:
    """A server that holds the request does not hold the program."""
    answers = threading.Event()

    def held(request: httpx.Request) -> httpx.Response:
        answers.wait(30)
        return inbox(request)

    config = Config.resolve(api_key=KEY, base_url="https://tinker.example", environ={})
    transport = Transport(config, http_transport=httpx.MockTransport(held))
    reporter = TelemetryReporter(transport, "session-1")
    assert not reporter.stop(timeout=0.01)
    answers.set()
    assert reporter.stop(timeout=30)
    transport.close()


def test_stop_does_not_wait_for_a_pause_between_attempts(inbox: Inbox) -> None:
    """The attempts that are left are made at once, so that the last events still have a chance."""
    inbox.statuses = [500, 500]
    config = Config.resolve(api_key=KEY, base_url="https://tinker.example", environ={})
    transport = Transport(
        config, http_transport=httpx.MockTransport(inbox), jitter=lambda _: 3600.0
    )
    reporter = TelemetryReporter(transport, "session-1", flush_threshold=1)
    reporter.log("last words")
    assert reporter.stop(timeout=30)
    assert inbox.events[-1]["event"] == "SESSION_END"
    assert not inbox.statuses
    transport.close()


def test_a_full_queue_is_one_line_in_the_log(
    make: Callable[..., TelemetryReporter], caplog: pytest.LogCaptureFixture
) -> None:
    """Not one for each event that is dropped."""
    reporter = make(queue_size=1, flush_interval=3600.0)
    accepted = [reporter.log("event") for _ in range(50)]
    assert accepted.count(False) >= 49
    warnings = [line for line in caplog.records if "dropping events" in line.getMessage()]
    assert len(warnings) == 1


def test_a_reporter_leaves_no_thread(make: Callable[..., TelemetryReporter]) -> None:
    """After stop its thread has ended."""
    reporter = make()
    reporter.stop()
    assert not any(thread.name == "tinkex-telemetry" for thread in threading.enumerate())


# One bad event takes no other with it


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        ("info", "INFO"), ("warn", "WARNING"), ("Warning ", "WARNING"), ("fatal", "CRITICAL"),
        ("CRITICAL", "CRITICAL"), (logging.ERROR, "ERROR"), (logging.DEBUG, "DEBUG"),
    ],
)  # fmt: skip
def test_a_severity_may_be_written_as_other_loggers_write_it(
    make: Callable[..., TelemetryReporter], inbox: Inbox, given: Any, sent: str
) -> None:
    """What the server takes is sent, whatever the spelling."""
    reporter = make()
    assert reporter.log("event", severity=given)
    assert reporter.log_exception(RuntimeError("x"), given)
    assert reporter.flush(timeout=10)
    assert [event["severity"] for event in inbox.events[1:]] == [sent, sent]


@pytest.mark.parametrize("severity", ["loud", "", None, 3.5, 12, ["INFO"]])
def test_an_unknown_severity_is_refused_at_once_and_told_once(
    make: Callable[..., TelemetryReporter],
    inbox: Inbox,
    severity: Any,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """log says False, raises nothing, and the other events arrive."""
    reporter = make()
    assert not reporter.log("event", severity=severity)
    assert not reporter.log("event", severity=severity)
    assert not reporter.log_exception(RuntimeError("x"), severity)
    assert reporter.log("another")
    assert reporter.flush(timeout=10)
    assert [event.get("event_name") for event in inbox.events] == [None, "another"]
    warnings = [line for line in caplog.records if line.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "must be one of DEBUG, INFO" in warnings[0].getMessage()


def test_an_event_that_the_server_refuses_takes_no_other_with_it(
    make: Callable[..., TelemetryReporter], inbox: Inbox, caplog: pytest.LogCaptureFixture
) -> None:
    """The batch is halved until the rest has arrived; the refused one is counted and logged."""
    inbox.refused_name = "bad"
    reporter = make(flush_interval=3600.0)
    for number in range(20):
        assert reporter.log("bad" if number in (3, 11) else "good", {"number": number})
    assert not reporter.flush(timeout=10)
    assert reporter.undelivered == 2
    numbers = [event["event_data"]["number"] for event in inbox.events if "event_data" in event]  # type: ignore[index]
    assert numbers == [number for number in range(20) if number not in (3, 11)]
    warnings = [line.getMessage() for line in caplog.records if line.levelno == logging.WARNING]
    assert len(warnings) == 1
    assert "HTTP 422: no: [REDACTED]" in warnings[0]
    assert reporter.log("good")
    assert reporter.flush(timeout=10)


@pytest.mark.parametrize("status", [401, 403, 404, 405])
def test_a_server_that_takes_no_telemetry_is_not_asked_event_by_event(
    make: Callable[..., TelemetryReporter], inbox: Inbox, status: int
) -> None:
    """What is wrong there is not in one of the events; flush says that nothing arrived."""
    inbox.statuses = [status]
    reporter = make(flush_interval=3600.0)
    assert reporter.log("event")
    assert not reporter.flush(timeout=10)
    assert (len(inbox.bodies), reporter.undelivered) == (1, 2)


def test_flush_tells_of_what_was_lost_before_it_was_called(
    make: Callable[..., TelemetryReporter], inbox: Inbox
) -> None:
    """A batch that was sent because it was full is part of what flush speaks of, once."""
    inbox.statuses = [500, 500, 500]
    reporter = make(flush_threshold=1, flush_interval=3600.0)
    reporter.log("event")
    assert reporter.wait_until_drained(timeout=10)
    assert not reporter.flush(timeout=10)
    assert reporter.flush(timeout=10)


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (math.nan, "nan"), (-math.inf, "-inf"), (2**70, "a large integer"), (2**63 - 1, 2**63 - 1),
        ("a\ud800b\x1b[2J", "a\ufffdb\ufffd[2J"), (b"x", "bytes"),
    ],
)  # fmt: skip
def test_values_that_json_cannot_hold_take_no_event_with_them(
    make: Callable[..., TelemetryReporter], inbox: Inbox, value: Any, kept: Any
) -> None:
    """They are sent in a form that every reader takes."""
    reporter = make()
    assert reporter.log("event", {"value": value})
    assert reporter.flush(timeout=10)
    assert inbox.events[-1]["event_data"] == {"value": kept}


@pytest.mark.parametrize(("name", "data"), [(None, {}), ("event", 5), ("event", [1])])
def test_arguments_that_are_none_are_refused_without_raising(
    make: Callable[..., TelemetryReporter], name: Any, data: Any
) -> None:
    """A training step does not fail because its report is wrong."""
    reporter = make()
    assert not reporter.log(name, data)
    assert reporter.flush(timeout=10)
