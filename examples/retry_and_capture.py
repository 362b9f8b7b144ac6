"""Retry your own function, watch each attempt, and report failures.

    python examples/retry_and_capture.py

Settings: TINKER_API_KEY, TINKER_BASE_URL. The failures are made up; nothing is sent for them.
"""

from __future__ import annotations

import itertools
import sys

from connection import connect

from tinkex import ServiceClient, TinkexError, events
from tinkex.errors import ServerError
from tinkex.observability.events import (
    RetryAttempt,
    RetryAttemptFailed,
    RetryAttemptRetry,
    RetryAttemptStop,
)
from tinkex.observability.telemetry import TelemetryReporter, capture_exceptions
from tinkex.retry import with_retry

FAILURES = 2


def print_attempt(event: RetryAttempt) -> None:
    """Print an attempt's line."""
    if event.operation != "retry_and_capture":
        return  # the requests of the session are attempts too
    match event:
        case RetryAttemptRetry():
            delay = f"{event.delay * 1000:.0f}ms"
            print(f"[retry retry] attempt={event.attempt} delay={delay} error={event.error_type}")
        case RetryAttemptStop():
            print(f"[retry stop] attempt={event.attempt} result=ok")
        case RetryAttemptFailed():
            print(f"[retry failed] attempt={event.attempt} error={event.error_type}")
        case _:
            print(f"[retry start] attempt={event.attempt}")


def reporter_of(service: ServiceClient) -> TelemetryReporter | None:
    """Return the session's reporter, and say whether there is one."""
    reporter = service.telemetry
    print("Telemetry reporter started." if reporter else "Telemetry is disabled; only retrying.")
    return reporter


def main() -> None:
    """Fail twice and succeed the third time, with an event for each attempt."""
    attempts = itertools.count(1)

    def work() -> str:
        number = next(attempts)
        if number <= FAILURES:
            raise ServerError("synthetic failure for the demo", status_code=500)
        return f"succeeded on attempt {number}"

    with events.subscribe(print_attempt, RetryAttempt), connect(telemetry=True) as service:
        with capture_exceptions(reporter_of(service), fatal=True):
            result = with_retry(
                work,
                operation="retry_and_capture",
                max_retries=2,
                first_wait=0.2,
                jitter=lambda longest: longest,
            )
        print(f"Final result: {result}")


if __name__ == "__main__":
    try:
        main()
    except TinkexError as error:
        sys.exit(f"error: {error}")
