"""How long a call waits before its next attempt, and when it stops."""

from __future__ import annotations

import math
import threading
from datetime import UTC, datetime
from email.utils import format_datetime

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from support.clock import FakeClock

from tinkex._core.retry import Retries, RetryBudget, RetryPolicy, retry_after_seconds
from tinkex._core.retry_safety import RequestClass, request_class

NOW = datetime(2026, 11, 24, 12, 0, 0, tzinfo=UTC)


def retries(clock: FakeClock | None = None, budget: RetryBudget | None = None, **policy) -> Retries:
    return Retries(
        RetryPolicy(**policy),
        budget or RetryBudget(),
        clock or FakeClock(),
        lambda longest: longest,
    )


def asked(value: str, name: str = "retry-after") -> float | None:
    return retry_after_seconds({name: value}, NOW.timestamp)


def test_waits_double_up_to_the_longest() -> None:
    """The upper ends are 0.5, 1, 2, … and never more than 20 s (C14, with our numbers)."""
    call = retries(max_attempts=10**6, deadline=10**9)
    assert [call.next_wait() for _ in range(8)] == [0.5, 1, 2, 4, 8, 16, 20, 20]
    assert {call.next_wait() for _ in range(90)} == {20}


@given(st.integers(1, 60))
def test_a_wait_is_drawn_between_nothing_and_its_upper_end(attempts: int) -> None:
    """Full jitter keeps callers who failed together from coming back together (C14)."""
    clock = FakeClock()
    call = Retries(RetryPolicy(max_attempts=100, deadline=1e9), RetryBudget(10**6), clock)
    for attempt in range(attempts):
        wait = call.next_wait()
        assert wait is not None
        assert 0 <= wait <= min(0.5 * 2**attempt, 20)


def test_attempts_are_bounded() -> None:
    """After the last attempt the call says how many it made."""
    call = retries(max_attempts=3)
    assert [call.next_wait() for _ in range(3)] == [0.5, 1.0, None]
    assert call.refusal == "gave up after 3 attempts in 0.0 s"


def test_time_is_bounded() -> None:
    """No attempt begins after the deadline, not even if the wait until then has to be cut."""
    clock = FakeClock()
    call = retries(clock, deadline=10, max_attempts=100)
    waits = []
    while (wait := call.next_wait()) is not None:
        waits.append(wait)
        clock.sleep(wait)
    assert waits == [0.5, 1, 2, 4]
    assert call.refusal == "gave up after 5 attempts in 7.5 s"


def test_what_the_server_asks_for_wins() -> None:
    """Retry-After is the wait, neither shortened nor drawn."""
    assert retries().next_wait(retry_after=7.25) == 7.25


@pytest.mark.holds("F13")
def test_a_server_that_asks_for_too_much_gets_no_further_attempt() -> None:
    """Waiting for a day inside a call helps nobody; up to two minutes are waited."""
    call = retries()
    assert call.next_wait(retry_after=120) == 120
    assert call.next_wait(retry_after=120.5) is None
    assert call.refusal == "the server asks to wait 120 s"


@pytest.mark.holds("F44")
def test_retries_spend_the_shared_budget_and_successes_earn_it_back() -> None:
    """An outage ends retries for all calls of a session, and a few successes bring them back (F44)."""
    budget = RetryBudget(capacity=12)
    assert retries(budget=budget).next_wait() is not None
    assert retries(budget=budget).next_wait() is not None
    refused = retries(budget=budget)
    assert refused.next_wait() is None
    assert "retry budget is spent" in refused.refusal
    for _ in range(3):
        budget.earn()
    assert retries(budget=budget).next_wait() is not None


def test_a_retry_after_a_timeout_costs_double() -> None:
    """Time-outs are dear to the server."""
    budget = RetryBudget(capacity=15)
    retries(budget=budget).next_wait(timed_out=True)
    assert budget.tokens == 5


def test_what_fails_together_is_paid_for_once() -> None:
    """A connection that takes hundreds of calls with it is one trouble; their next failures are others."""
    clock = FakeClock()
    budget = RetryBudget(capacity=500)
    calls = [retries(clock, budget) for _ in range(400)]
    clock.advance(1.0)
    assert all(call.next_wait() is not None for call in calls)
    assert budget.tokens == 495
    for _ in range(5):
        clock.advance(30.0)
        calls[0].next_wait()
    assert budget.tokens == 470


def test_a_call_that_outlasts_the_budget_only_slows_down() -> None:
    """A poll whose result would be lost waits its longest instead of giving up."""
    call = Retries(
        RetryPolicy(), RetryBudget(0), FakeClock(), lambda longest: longest, outlasts_budget=True
    )
    assert call.next_wait() == 20
    assert call.next_wait(retry_after=60) == 60


def test_the_budget_never_exceeds_its_capacity() -> None:
    """A long good time does not buy a storm."""
    budget = RetryBudget(capacity=3)
    for _ in range(9):
        budget.earn()
    assert budget.tokens == 3


def test_the_budget_is_exact_under_many_threads() -> None:
    """Tokens are neither lost nor doubled."""
    budget = RetryBudget(capacity=500)
    spent: list[bool] = []

    def spend() -> None:
        for _ in range(50):
            spent.append(budget.spend(5))

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert spent.count(True) == 100
    assert budget.tokens == 0


# Retry-After


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "4"}, 4.0),
        ({"retry-after": "0.25"}, 0.25),
        ({"retry-after-ms": "5"}, 0.005),
        ({"retry-after-ms": "1500.5", "retry-after": "9"}, 1.5005),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after": "Tue, 24 Nov 2026 12:00:04 GMT"}, 4.0),
        ({"retry-after": "Tue, 24 Nov 2026 12:00:04 -0000"}, 4.0),
        ({"retry-after": "Tue, 24 Nov 2026 13:00:04 +0100"}, 4.0),
        ({"retry-after": "86400"}, 86400.0),
    ],
)
def test_every_form_of_retry_after_is_read(headers: dict[str, str], seconds: float) -> None:
    """Milliseconds, seconds, fractions and dates say the same thing (C12)."""
    assert retry_after_seconds(headers, NOW.timestamp) == pytest.approx(seconds)


@pytest.mark.holds("F13")
@pytest.mark.parametrize(
    "value",
    ["0", "-1", "nan", "inf", "-inf", "1e999", "", "soon", "Tue, 24 Nov 2026 11:59:59 GMT",
     "Tue, 99 Nov 2026 12:00:00 GMT", "Mon, 01 Jan 0000 00:00:00 GMT"],
)  # fmt: skip
def test_what_is_past_or_garbage_counts_as_nothing_said(value: str) -> None:
    """A header that makes no sense leaves the wait to us (F13)."""
    assert asked(value) is None
    assert asked(value, "retry-after-ms") is None


@pytest.mark.holds("F13")
@given(
    st.one_of(
        st.text(max_size=40),
        st.floats().map(str),
        st.integers().map(str),
        st.datetimes(min_value=NOW.replace(year=1900, tzinfo=None), timezones=st.just(UTC)).map(
            lambda moment: format_datetime(moment, usegmt=True)
        ),
    ),
    st.sampled_from(["retry-after", "retry-after-ms"]),
)
@example("1E-321", "retry-after-ms")
def test_no_header_makes_a_negative_or_endless_wait(value: str, name: str) -> None:
    """Whatever the header says, the wait is positive and finite, or our own (F13)."""
    seconds = asked(value, name)
    assert seconds is None or (seconds > 0 and math.isfinite(seconds))
    clock = FakeClock()
    wait = retries(clock, max_attempts=5).next_wait(retry_after=seconds)
    if seconds is not None and seconds > 120:
        assert wait is None
    else:
        assert wait is not None
        assert 0 <= wait <= 120


# Which requests may be repeated


def test_operations_that_only_read_need_no_entry() -> None:
    """What is not known to write may be repeated."""
    assert request_class("get_server_capabilities") is RequestClass.READ
    assert request_class("retrieve_future").is_idempotent


@pytest.mark.parametrize(
    "operation", ["create_session", "publish_checkpoint", "delete_checkpoint", "copy_weights"]
)
def test_writes_without_a_key_are_not_idempotent(operation: str) -> None:
    """A second effect would be another one, or an error for what succeeded."""
    assert not request_class(operation).is_idempotent


def test_every_operation_of_the_api_that_writes_has_an_entry() -> None:
    """A new operation that is no GET cannot slip in as something to repeat at will."""
    from importlib import resources

    import orjson

    spec = orjson.loads(resources.files("tinkex_generated").joinpath("openapi.json").read_bytes())
    writes = {
        operation["operationId"]
        for path in spec["paths"].values()
        for method, operation in path.items()
        if method in {"post", "put", "delete", "patch"}
    }
    unlisted = {name for name in writes if request_class(name) is RequestClass.READ}
    assert unlisted == READING_POSTS


READING_POSTS = {
    "auth_token", "client_config", "client_dynamic_config", "get_info", "retrieve_future",
    "retrieve_future_binary", "retrieve_futures", "search_sessions", "upload_form", "weights_info",
}  # fmt: skip
