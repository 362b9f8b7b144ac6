"""The examples that watch what the SDK does print what they saw."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from examples.test_examples import output_of, run


def test_metrics_prints_counters_latency_and_tokens(tmp_path: Path) -> None:
    """Every request succeeded, the percentiles are in order, and the sample's tokens are counted."""
    out = output_of("metrics", tmp_path, TINKER_MAX_TOKENS="8")
    total = int(re.search(r"tinkex_requests_total: (\d+)", out)[1])  # type: ignore[index]
    assert f"tinkex_requests_success: {total}" in out
    assert f"  count: {total}\n" in out
    numbers = [
        float(re.search(rf"{p}: (\d+\.\d\d)$", out, re.MULTILINE)[1]) for p in ("p50", "p95", "p99")
    ]  # type: ignore[index]
    assert numbers == sorted(numbers)
    assert re.search(r"sample on tinkex/tiny-chat: \d+ read, [1-8] sampled", out)
    assert "Sampled text:" in out


def test_queue_reasons_are_logged_once_and_samplers_share_a_cool_down(tmp_path: Path) -> None:
    """One line in the log for two pauses, and a sample that waits for the cool-down."""
    out = output_of("queue_reasons_and_sampling_throttling", tmp_path)
    assert out.count("[WARNING] Sampling is paused for session-") == 1
    assert out.count("[event] queue state=paused_capacity reason=server says:") == 2
    assert "no sample is sent for another 1.0 s" in out
    assert "the cool-down included" in out
    assert re.search(r"estimated prompt bytes: \d+ for \d+ tokens", out)
    assert out.endswith("Done.\n")


@pytest.mark.parametrize(
    ("mode", "lines"),
    [
        (
            "builtin",
            [
                r"\[log\] Sampling is paused for \S+\. Reason: concurrent sampler weights limit hit",
                r"\[log\] Training is paused for \S+\. Reason: Tinker backend is running short",
            ],
        ),
        (
            "custom",
            [
                r"\[observer\] \S+ is RATE LIMITED: ",
                r"\[observer\] \S+:train:0 is OUT OF CAPACITY: ",
            ],
        ),
        (
            "telemetry",
            [
                r"\[tinkex\.queue\.state_change\] paused_rate_limit \(.+\) request \S+",
                r"\[tinkex\.queue\.state_change\] paused_capacity \(.+\) request \S+",
            ],
        ),
    ],
)
def test_queue_changes_are_shown_in_each_way(tmp_path: Path, mode: str, lines: list[str]) -> None:
    """By the log, by an observer, and on the bus; both parts end well."""
    out = output_of("queue_state_observer_demo", tmp_path, OBSERVER_MODE=mode)
    for line in lines:
        assert re.search(line, out), out
    assert re.search(r"sampled \d+ tokens", out)
    assert re.search(r"loss: \d+\.\d+", out)
    assert out.endswith("Demo complete.\n")


def test_an_unknown_observer_mode_is_one_clear_line(tmp_path: Path) -> None:
    """The line names the choices."""
    done = run("queue_state_observer_demo", tmp_path, OBSERVER_MODE="loud")
    assert done.returncode == 1
    assert done.stderr == "error: OBSERVER_MODE must be builtin, custom or telemetry, not 'loud'\n"


def test_retry_and_capture_tells_each_attempt(tmp_path: Path) -> None:
    """Two failures and a success, with the waits between, in that order."""
    out = output_of("retry_and_capture", tmp_path)
    assert out.splitlines()[1:] == [
        "Telemetry reporter started.",
        "[retry start] attempt=0",
        "[retry retry] attempt=0 delay=200ms error=ServerError",
        "[retry start] attempt=1",
        "[retry retry] attempt=1 delay=400ms error=ServerError",
        "[retry start] attempt=2",
        "[retry stop] attempt=2 result=ok",
        "Final result: succeeded on attempt 3",
    ]


def test_retry_and_capture_goes_without_telemetry(tmp_path: Path) -> None:
    """DO_NOT_TRACK wins over the program's own wish."""
    out = output_of("retry_and_capture", tmp_path, DO_NOT_TRACK="1")
    assert "Telemetry is disabled; only retrying." in out
    assert "Final result: succeeded on attempt 3" in out


def test_telemetry_shows_the_requests_of_the_session(tmp_path: Path) -> None:
    """Start and stop of each kind of request, that of the telemetry too, and all is sent."""
    out = output_of("telemetry", tmp_path)
    assert "example.start accepted: True" in out
    for route in ("create_sampling_session", "asample", "retrieve_future", "telemetry"):
        assert re.search(rf"\[INFO\] HTTP POST /api/v1/{route} start \(", out)
        assert re.search(rf"\[INFO\] HTTP POST /api/v1/{route} ok 200 in \d+ ms, retries=0", out)
    assert "Sampled: " in out
    assert out.endswith("Flushed: True\n")


def test_telemetry_says_when_it_is_disabled(tmp_path: Path) -> None:
    """Nothing is sent then, and the exit status says so."""
    done = run("telemetry", tmp_path, DO_NOT_TRACK="1")
    assert done.returncode == 1
    assert "telemetry is disabled" in done.stderr


def test_telemetry_reporter_demo_does_its_seven_steps(tmp_path: Path) -> None:
    """Every event is taken, everything is sent, and the reporter stops in time."""
    out = output_of("telemetry_reporter_demo", tmp_path)
    assert [int(step) for step in re.findall(r"^(\d)\. ", out, re.MULTILINE)] == list(range(1, 8))
    for line in ("accepted: 4 of 4", "flushed: True", "drained: True", "stopped: True"):
        assert line in out
    assert re.search(r"generated: .+", out)
    assert out.count("\n  - ") == 8
