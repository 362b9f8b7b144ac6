"""Hold captured exceptions to be reported, and to go on as if nobody had looked."""

from __future__ import annotations

import traceback

import pytest
from support.scripted import Script, scripted_service

from tinkex.observability.telemetry import TelemetryReporter, capture_exceptions


@pytest.fixture
def script() -> Script:
    return Script().on("POST telemetry", {"status": "accepted"})


def sent(script: Script) -> list[dict]:
    return [event for body in script.bodies("telemetry") for event in body["events"]]


@pytest.fixture
def reporter(script: Script):
    """Return the reporter of a session."""
    with scripted_service(script, telemetry=True) as service:
        assert isinstance(service.telemetry, TelemetryReporter)
        yield service.telemetry


def broken() -> None:
    raise RuntimeError("canary")


def test_an_exception_is_reported_and_raised_with_its_own_traceback(
    reporter: TelemetryReporter, script: Script
) -> None:
    """The same object, with the line that raised it last and no line of tinkex between."""
    with pytest.raises(RuntimeError) as caught, capture_exceptions(reporter, severity="WARNING"):
        broken()
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert frames[-1].name == "broken"
    assert all("tinkex/telemetry" not in frame.filename for frame in frames)
    assert caught.value.__context__ is None
    assert reporter.flush(timeout=10)
    event = sent(script)[-1]
    assert (event["error_type"], event["severity"]) == ("RuntimeError", "WARNING")


def test_it_decorates_functions_and_returns_what_they_return(
    reporter: TelemetryReporter, script: Script
) -> None:
    """A function may be called again and again; a good result passes through."""

    @capture_exceptions(reporter)
    def half(number: int) -> float:
        return 1 / number

    assert half(2) == 0.5
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            half(0)
    assert reporter.flush(timeout=10)
    assert [event.get("error_type") for event in sent(script)].count("ZeroDivisionError") == 2


def test_a_fatal_one_ends_the_session_and_is_sent_before_it_continues(
    reporter: TelemetryReporter, script: Script
) -> None:
    """The error, then the session's end, at the server when the exception leaves the block."""
    with pytest.raises(KeyboardInterrupt), capture_exceptions(reporter, fatal=True):
        raise KeyboardInterrupt
    told = [(event["event"], event["severity"]) for event in sent(script)[-2:]]
    assert told == [("UNHANDLED_EXCEPTION", "CRITICAL"), ("SESSION_END", "INFO")]


def test_an_orderly_exit_is_no_error(reporter: TelemetryReporter, script: Script) -> None:
    """`sys.exit(0)` passes by; another status is told."""
    for status in (0, None, 3):
        with pytest.raises(SystemExit), capture_exceptions(reporter):
            raise SystemExit(status)
    assert reporter.flush(timeout=10)
    assert [event.get("error_type") for event in sent(script)].count("SystemExit") == 1


def test_without_a_reporter_the_exception_passes_by() -> None:
    """Where telemetry is off, `service.telemetry` is None, and the code stays the same."""
    with pytest.raises(RuntimeError, match="canary"), capture_exceptions(None, fatal=True):
        broken()
