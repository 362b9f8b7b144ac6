"""A session: how it begins, what keeps it, and how it ends."""

from __future__ import annotations

import atexit
import logging
import threading

import httpx
import pytest
from support.clock import FakeClock
from support.scripted import Script

from tinkex import __version__  # noqa: F401 - the package imports
from tinkex._base.version import SDK_VERSION
from tinkex._core.session import HEARTBEAT_INTERVAL, Session
from tinkex._core.transport import Transport
from tinkex.errors import DecodeError, ServerError, SessionLostError

BEAT = "POST session_heartbeat"
CREATE = "POST create_session"
FINISH = "POST sessions/S/finish"
ALIVE = {"type": "session_heartbeat"}


def is_beating(session: Session) -> bool:
    task = session._heartbeat_task
    return task is not None and not task.done()


def beat(session: Session) -> None:
    """Send one heartbeat now."""
    session.transport.run(session.beat())


def pass_an_interval(clock: FakeClock, seconds: float = HEARTBEAT_INTERVAL) -> None:
    """Let time pass once the heart waits by the clock."""
    clock.run_until(lambda: bool(clock._deadlines), step=0)
    clock.advance(seconds)


# Its beginning


def test_a_session_says_what_it_is_for(make_transport, script: Script) -> None:
    """Tags, metadata, project and version are stored with it."""
    transport = make_transport(tags=["a", "b"], user_metadata={"run": 7}, project_id="P")
    session = Session(transport)
    session.close()
    assert script.bodies("create_session") == [
        {
            "tags": ["a", "b"],
            "user_metadata": {"run": "7"},
            "sdk_version": SDK_VERSION,
            "project_id": "P",
            "type": "create_session",
        }
    ]
    assert session.id == "S"


def test_messages_of_the_server_are_logged_at_their_level(
    transport, script: Script, caplog
) -> None:
    """Info is info, a warning warns, an error stands out."""
    script.on(
        CREATE,
        {
            "session_id": "S",
            "info_message": "hello",
            "warning_message": "old SDK",
            "error_message": "ends soon",
        },
    )
    with caplog.at_level(logging.INFO, logger="tinkex.session"):
        Session(transport).close()
    assert [(record.levelname, record.message) for record in caplog.records] == [
        ("INFO", "the server says: hello"),
        ("WARNING", "the server says: old SDK"),
        ("ERROR", "the server says: ends soon"),
    ]


@pytest.mark.parametrize(("answer", "error"), [(500, ServerError), ((200, b"<html>"), DecodeError)])
def test_a_session_that_does_not_begin_leaves_nothing(
    transport, script: Script, clock: FakeClock, answer, error
) -> None:
    """No heartbeat and no farewell remain of a failure."""
    script.on(CREATE, answer)
    with pytest.raises(error):
        Session(transport)
    assert clock._deadlines == []
    assert script.sent("sessions/S/finish") == []


def test_models_and_samplers_are_numbered_from_zero(session: Session) -> None:
    """The two counters are apart, and exact under many threads."""
    taken: list[int] = []
    threads = [
        threading.Thread(target=lambda: taken.extend(session.next_model_number() for _ in range(100)))
        for _ in range(8)
    ]  # fmt: skip
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == list(range(800))
    assert session.next_sampler_number() == 0


# Its heartbeat


def test_the_heart_beats_every_ten_seconds(
    session: Session, script: Script, clock: FakeClock
) -> None:
    """Each beat names the session, waits at most ten seconds, and is not repeated."""
    for beats in range(1, 4):
        pass_an_interval(clock)
        clock.run_until(lambda beats=beats: len(script.sent("session_heartbeat")) == beats, step=0)
    assert script.bodies("session_heartbeat")[0]["session_id"] == "S"
    assert script.received[-1].headers["x-stainless-read-timeout"] == "10.000"
    clock.run_until(lambda: session.heartbeat.last_success == clock.now(), step=0)
    assert session.heartbeat.is_alive


@pytest.mark.holds("F30")
def test_a_single_miss_is_silent_and_the_second_warns_once(
    session: Session, script: Script, clock: FakeClock, caplog
) -> None:
    """An outage is one line, its end another, and calls go on meanwhile (F30)."""
    script.on(BEAT, 500)
    with caplog.at_level(logging.INFO, logger="tinkex.session"):
        beat(session)
        assert caplog.records == []
        clock_before = session.heartbeat.last_success
        clock._now += 20
        for _ in range(5):
            beat(session)
        script.on(BEAT, ALIVE)
        beat(session)
    assert caplog.messages == [
        "session S: 2 heartbeats failed, none succeeded for 20 s: HTTP 500",
        "session S: heartbeats succeed again",
    ]
    assert session.heartbeat.misses == 0
    assert session.heartbeat.last_success == clock_before + 20
    session.check()


@pytest.mark.holds("F30")
@pytest.mark.parametrize(
    "failure", [500, 503, 401, 429, httpx.ConnectError("refused"), httpx.ReadTimeout("")], ids=str
)
def test_no_failure_that_may_pass_ends_the_session(
    session: Session, script: Script, failure
) -> None:
    """However often a beat fails, only the server's word ends the session (F30)."""
    script.on(BEAT, failure)
    for _ in range(30):
        beat(session)
    assert session.heartbeat.is_alive
    assert session.heartbeat.misses == 30
    session.check()


@pytest.mark.holds("F30")
def test_a_gone_session_is_lost_at_once(session: Session, script: Script, caplog) -> None:
    """410 is the server's clear word; the next call says what to do (F30)."""
    script.on(BEAT, 410)
    beat(session)
    with pytest.raises(SessionLostError, match="HTTP 410") as caught:
        session.check()
    assert "Create a new ServiceClient" in str(caught.value)
    assert caught.value.session_id == "S"
    assert caplog.records[-1].levelname == "ERROR"


@pytest.mark.holds("F30")
def test_an_unknown_session_is_lost_when_it_is_unknown_twice(
    session: Session, script: Script
) -> None:
    """One 404 may be a proxy that lost its way; other failures in between do not count."""
    script.on(BEAT, 500, 404, 500, 404, ALIVE, 404, 404)
    for beats in range(6):
        beat(session)
        assert session.heartbeat.is_alive, beats
    beat(session)
    assert not session.heartbeat.is_alive
    with pytest.raises(SessionLostError):
        session.check()


def test_a_lost_session_stops_beating_and_sends_no_farewell(
    session: Session, script: Script, clock: FakeClock
) -> None:
    """There is nothing left to keep or to end."""
    script.on(BEAT, 410)
    pass_an_interval(clock)
    clock.run_until(lambda: not is_beating(session), step=0)
    assert len(script.sent("session_heartbeat")) == 1
    session.close()
    assert script.sent("sessions/S/finish") == []


@pytest.mark.holds("F30")
def test_a_heartbeat_that_comes_late_is_told(
    session: Session, script: Script, clock: FakeClock, caplog
) -> None:
    """After a minute of standstill the log says why the session may be gone (P9, F30)."""
    with caplog.at_level(logging.WARNING, logger="tinkex.session"):
        pass_an_interval(clock, HEARTBEAT_INTERVAL + 60)
        clock.run_until(lambda: session.heartbeat.late > 0, step=0)
    assert session.heartbeat.late == pytest.approx(60)
    assert "a heartbeat is 60 s late" in caplog.text
    pass_an_interval(clock)
    clock.run_until(lambda: session.heartbeat.late == 0, step=0)


# Its end


@pytest.mark.parametrize("reason", ["success", "errored", "interrupted"])
def test_closing_tells_the_server_once_why(
    session: Session, script: Script, clock: FakeClock, reason
) -> None:
    """A second close does nothing."""
    session.close(reason)
    session.close("errored")
    assert script.bodies("sessions/S/finish") == [{"reason": {"type": reason}, "detail": None}]
    clock.run_until(lambda: not is_beating(session), step=0)


def test_threads_that_close_at_once_send_one_farewell(session: Session, script: Script) -> None:
    """Closing is safe from anywhere."""
    threads = [threading.Thread(target=session.close) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(script.sent("sessions/S/finish")) == 1


@pytest.mark.holds("F32")
@pytest.mark.parametrize(
    "answer", [404, 405, 501, 500, httpx.ConnectError("down"), httpx.ReadTimeout("")], ids=str
)
def test_a_server_that_takes_no_farewell_is_left_alone(
    session: Session, script: Script, answer
) -> None:
    """Older servers let the session expire; closing never fails for it (F32)."""
    script.on(FINISH, answer)
    session.close()
    assert len(script.sent("sessions/S/finish")) == 1


def test_closing_after_the_connections_are_closed_is_quiet(
    session: Session, transport: Transport, script: Script, clock: FakeClock
) -> None:
    """The order in which things are closed does not matter."""
    transport.close()
    session.close()
    assert script.sent("sessions/S/finish") == []
    clock.run_until(lambda: not is_beating(session), step=0)


def test_a_heart_whose_connections_are_closed_stops(
    session: Session, transport: Transport, clock: FakeClock
) -> None:
    """Nothing beats on into the void."""
    transport.close()
    pass_an_interval(clock)
    clock.run_until(lambda: not is_beating(session), step=0)


@pytest.mark.holds("F29")
def test_a_session_that_no_caller_closes_is_closed_at_exit(
    session: Session, script: Script, monkeypatch
) -> None:
    """The interpreter's end is an end; a closed session asks for nothing then (F29)."""
    gone: list[object] = []
    monkeypatch.setattr(atexit, "unregister", gone.append)
    session.close()
    assert gone == [session._close_at_exit]


@pytest.mark.holds("F29")
def test_a_forked_process_does_not_end_its_parents_session(
    session: Session, script: Script, monkeypatch
) -> None:
    """What the child inherits is the parent's to close (F29)."""
    import os

    parent = os.getpid()
    with monkeypatch.context() as patched:
        patched.setattr(os, "getpid", lambda: parent + 1)
        session.close()
    assert script.sent("sessions/S/finish") == []
    session.close()
    assert len(script.sent("sessions/S/finish")) == 1
