"""Hold the lines that read along with the events to what they say, and to whom."""

from __future__ import annotations

import logging

import httpx
import pytest
from support.scripted import Script, scripted_service

from tinkex import events
from tinkex._core.queue_state import QueueStateChange
from tinkex.errors import TinkexError, ValidationError
from tinkex.observability.events import Event, attach_logger, detach, emit


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture):
    """Return a function that lists the lines so far, with their levels."""
    caplog.set_level(logging.DEBUG, "tinkex.events")
    return lambda: [
        f"{record.levelname} {record.getMessage()}"
        for record in caplog.records
        if record.name == "tinkex.events"
    ]


def test_requests_and_queue_changes_are_written_by_default(lines) -> None:
    """A start, a stop with status, time and retries, an exception as an error, and a pause."""
    script = Script().on("GET get_server_capabilities", {"supported_models": []})
    script.on("GET healthz", httpx.ReadError("no"))
    reading = attach_logger("info")
    with scripted_service(script, max_retries=0, http_pool="evals") as service:
        service.get_server_capabilities()
        with pytest.raises(TinkexError):
            service.health_check()
    emit(
        QueueStateChange(
            state="paused_capacity", reason="full", operation="optim_step", request_id="r"
        )
    )
    assert detach(reading)
    emit(QueueStateChange(state="active", reason=None, operation="optim_step"))
    told = lines()
    path, where = "/api/v1/get_server_capabilities", f"{service.base_url} pool=evals"
    assert f"INFO HTTP GET {path} start (get_server_capabilities, {where})" in told
    assert f"INFO HTTP GET {path} ok 200 in 0 ms, retries=0 ({where})" in told
    assert any(
        line.startswith("ERROR HTTP GET /api/v1/healthz TransportError after") for line in told
    )
    assert told[-1] == "INFO Queue state paused_capacity (full) for r"


def test_chosen_events_are_written_in_a_form_of_their_own(lines) -> None:
    """Any class may be asked for, and its fields are listed."""
    reading = attach_logger("debug", [events.TokensUsed])
    emit(events.TokensUsed(operation="sample", sampled=3))
    emit(events.FutureStart(operation="sample"))
    detach(reading)
    assert lines() == ["DEBUG tinkex.tokens.used operation=sample trained=0 prompted=0 sampled=3"]


def test_an_id_is_attached_once_and_detached_once() -> None:
    """A second one of the same id is refused, and detaching what is not there is no error."""
    assert attach_logger(handler_id="mine") == "mine"
    with pytest.raises(ValidationError, match="handler_id"):
        attach_logger(handler_id="mine")
    assert detach("mine")
    assert not detach("mine")
    assert not events.has_subscribers()


@pytest.mark.parametrize(
    ("arguments", "path"),
    [({"level": "loud"}, "level"), ({"events": ["tinkex.http"]}, r"events\[0\]")],
)
def test_what_cannot_be_attached_is_refused(arguments: dict, path: str) -> None:
    """The message names the argument."""
    with pytest.raises(ValidationError, match=path):
        attach_logger(**arguments)


def test_an_event_without_fields_is_its_name() -> None:
    """A line never ends in nothing."""
    from tinkex.observability.events.log import line

    assert line(Event()).strip() == "tinkex"
