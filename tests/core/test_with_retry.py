"""Hold retries of users' own work to what is tried again, and when."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from support.clock import FakeClock

from tinkex import events
from tinkex.errors import BadRequestError, RateLimitError, ServerError, TinkexError, ValidationError
from tinkex.retry import with_retry


def failing(*errors: Exception) -> Callable[[], str]:
    """Return a function that raises these and then succeeds."""
    left = list(errors)

    def call() -> str:
        if left:
            raise left.pop(0)
        return f"succeeded on attempt {len(errors) + 1}"

    return call


def test_what_may_pass_is_tried_again_after_growing_waits(clock: FakeClock) -> None:
    """Each attempt is an event, counted from 0, with the wait before the next."""
    told = []
    with events.subscribe(lambda event: told.append(event), events.RetryAttempt):
        result = with_retry(
            failing(ServerError("x", status_code=500), ServerError("x", status_code=500)),
            operation="mine", max_retries=2, first_wait=0.2, jitter=float, clock=clock,
        )  # fmt: skip
    assert result == "succeeded on attempt 3"
    assert clock.slept == [0.2, 0.4]
    assert [(event.name.rpartition(".")[2], event.attempt) for event in told] == [
        ("start", 0), ("retry", 0), ("start", 1), ("retry", 1), ("start", 2), ("stop", 2),
    ]  # fmt: skip
    assert [event.delay for event in told if event.name.endswith("retry")] == [0.2, 0.4]
    assert {event.operation for event in told} == {"mine"}


def test_the_last_error_is_raised_with_the_history(clock: FakeClock) -> None:
    """When the attempts are used up, the error is the last one's, and failed is told."""
    told = []
    errors = [ServerError(str(number), status_code=500) for number in range(3)]
    with (
        events.subscribe(told.append, events.RetryAttemptFailed),
        pytest.raises(ServerError, match="2") as caught,
    ):
        with_retry(failing(*errors), max_retries=2, clock=clock)
    assert len(caught.value.attempts) == 3
    assert [(event.attempt, event.status_code) for event in told] == [(2, 500)]


@pytest.mark.parametrize("error", [BadRequestError("no", status_code=400), RuntimeError("bug")])
def test_what_will_not_pass_is_raised_at_once(clock: FakeClock, error: Exception) -> None:
    """A refusal or a mistake is the same the next time."""
    with pytest.raises(type(error)):
        with_retry(failing(error), clock=clock)
    assert clock.slept == []


def test_it_waits_as_long_as_the_server_asks(clock: FakeClock) -> None:
    """Retry-After wins over waits of its own."""
    error = RateLimitError("slow", status_code=429, retry_after=7.0)
    with_retry(failing(error), clock=clock)
    assert clock.slept == [7.0]


def test_a_negative_number_of_retries_is_refused() -> None:
    """The message names it."""
    with pytest.raises(ValidationError, match="max_retries"):
        with_retry(failing(TinkexError("x")), max_retries=-1)


def test_exceptions_that_the_caller_names_are_tried_again(clock: FakeClock) -> None:
    """With the same waits; when the attempts are used up, the exception itself comes out."""
    done = with_retry(
        failing(KeyError("a"), OSError("b")), retry_on=(KeyError, OSError), first_wait=1.0,
        jitter=float, clock=clock,
    )  # fmt: skip
    assert (done, clock.slept) == ("succeeded on attempt 3", [1.0, 2.0])
    with pytest.raises(KeyError):
        with_retry(failing(*[KeyError("a")] * 3), retry_on=KeyError, max_retries=1, clock=clock)
    with pytest.raises(OSError, match="b"):
        with_retry(failing(OSError("b")), retry_on=KeyError, clock=clock)
