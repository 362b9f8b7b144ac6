"""Following a promise: every answer that servers in the field give, and every way they fail."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.calls import held
from support.clock import FakeClock
from support.scripted import Script
from tinkex_generated.models import OptimStepResponse

from tinkex._core.limits import ByteBudget
from tinkex._core.polling import Done, Promise, _stranger
from tinkex._core.retry import RetryBudget
from tinkex._core.transport import Transport
from tinkex.errors import (
    AuthenticationError,
    BadRequestError,
    BillingError,
    ConnectError,
    DecodeError,
    FutureLostError,
    PermissionDeniedError,
    RequestFailedError,
    ServerError,
    TinkexError,
)

POLL = "POST retrieve_future"
RESULT = {"metrics": {"loss:sum": 1.5}}
TRY_AGAIN = {"type": "try_again", "request_id": "r-1", "queue_state": "active"}
REFUSED = httpx.ConnectError("Connection refused")

Follow = Callable[..., Any]


def promise(transport: Transport, **settings: Any) -> Promise[Any]:
    arguments = {
        "parse": OptimStepResponse.from_dict,
        "response_bytes": ByteBudget(100),
        **settings,
    }
    return Promise(transport=transport, request_id="r-1", request_type="OptimStep", **arguments)


def poll(promised: Promise[Any]) -> float | Done[Any]:
    """Ask once."""
    return promised.transport.run(promised.poll())


@pytest.fixture
def follow(transport: Transport) -> Follow:
    """Return a function that polls until the result is there."""

    def follow(promised: Promise[Any] | None = None) -> Any:
        return transport.run((promised or promise(transport)).follow())

    return follow


# Good answers


def test_a_result_is_read(follow: Follow, script: Script) -> None:
    """A body that says nothing else is the result itself."""
    script.on(POLL, RESULT)
    assert follow().metrics == {"loss:sum": 1.5}
    assert script.bodies("retrieve_future") == [{"request_id": "r-1", "allow_metadata_only": True}]


def test_each_poll_says_which_it_is(transport: Transport, follow: Follow, script: Script) -> None:
    """The server sees type, number and, the first time, how long the submission took."""
    script.on(POLL, TRY_AGAIN, 500, RESULT)
    follow(promise(transport, roundtrip=0.25))
    headers = [got.headers for got in script.sent("retrieve_future")]
    assert [got["x-tinker-request-iteration"] for got in headers] == ["0", "1", "2"]
    assert {got["x-tinker-request-type"] for got in headers} == {"OptimStep"}
    assert headers[0]["x-tinker-create-promise-roundtrip-time"] == "0.250000"
    assert "x-tinker-create-promise-roundtrip-time" not in headers[1]
    assert headers[0]["x-stainless-read-timeout"] == "75.000"


@pytest.mark.parametrize(
    "pending", [TRY_AGAIN, {"status": "pending"}, (408, b""), (408, TRY_AGAIN), (408, [])]
)
def test_a_held_poll_without_a_result_is_asked_again_at_once(
    follow: Follow, script: Script, clock: FakeClock, pending: Any
) -> None:
    """The server held the poll, so there is nothing to wait for (C21, C22, wire 3.10)."""
    script.on(POLL, *[held(clock, 30, pending)] * 3, RESULT)
    follow()
    assert clock.slept == []


@pytest.mark.holds("F11")
@pytest.mark.parametrize("pending", [TRY_AGAIN, {"status": "pending"}, (408, b"")])
def test_a_server_that_does_not_hold_polls_is_asked_ever_more_rarely(
    follow: Follow, script: Script, clock: FakeClock, pending: Any
) -> None:
    """Answers that come at once do not make a storm of polls (F11; C21 would wait 1 s)."""
    script.on(POLL, *[pending] * 60, RESULT)
    follow()
    assert clock.slept[:4] == [0.04, 0.08, 0.16, 0.32]
    assert set(clock.slept[8:]) == {2.0}


def test_holding_once_shows_that_the_server_holds(follow, script: Script, clock: FakeClock) -> None:
    """After a held poll the waits begin again from the shortest."""
    script.on(POLL, *[TRY_AGAIN] * 5, held(clock, 5, TRY_AGAIN), TRY_AGAIN, RESULT)
    follow()
    assert clock.slept[4:] == [0.64, 0.04]


@pytest.mark.parametrize(
    ("answer", "waited"),
    [
        ({**TRY_AGAIN, "retry_after_ms": 1500}, 1.5),
        ({**TRY_AGAIN, "retry_after_ms": 0.001}, 0.02),
        ({**TRY_AGAIN, "retry_after_ms": 10**12}, 120.0),
        ({**TRY_AGAIN, "retry_after_ms": 0}, 0.04),
        ({**TRY_AGAIN, "retry_after_ms": -5}, 0.04),
        ({**TRY_AGAIN, "retry_after_ms": "1500"}, 0.04),
        ({**TRY_AGAIN, "retry_after_ms": True}, 0.04),
        ({**TRY_AGAIN, "retry_after_ms": None, "queue_state": "paused_rate_limit"}, 0.04),
        ((408, b"", {"retry-after": "7"}), 7.0),
    ],
)
def test_the_server_may_say_when_to_ask_again(
    follow: Follow, script: Script, clock: FakeClock, answer: Any, waited: float
) -> None:
    """retry_after_ms and Retry-After are honoured within reason (C29)."""
    script.on(POLL, answer, RESULT)
    follow()
    assert clock.slept == [waited]


@pytest.mark.parametrize("failure", [httpx.ReadTimeout("timed out"), httpx.ReadTimeout("")])
def test_a_server_that_holds_longer_than_we_do_is_no_trouble(
    transport: Transport, follow: Follow, script: Script, clock: FakeClock, failure: Exception
) -> None:
    """Some servers hold a poll for five minutes; after a silent one the next may take longer."""
    script.on(POLL, *[held(clock, 75, failure)] * 50, RESULT)
    assert follow().metrics
    assert clock.slept == []
    assert transport.budget.tokens == 500
    longest = [got.headers["x-stainless-read-timeout"] for got in script.received]
    assert longest == ["75.000"] + ["330.000"] * 50


def test_a_connection_that_never_comes_is_trouble(transport, script: Script, clock) -> None:
    """A time-out of the connection says that the server is away, however long it took."""
    script.on(POLL, held(clock, 75, httpx.ConnectTimeout("")))
    assert poll(promise(transport)) == 0.5
    assert transport.budget.tokens < 500
    assert transport.poll_timeout == 75


@pytest.mark.parametrize(
    "wrapped",
    [
        {"status": "completed", "result": RESULT},
        {"status": "completed", **RESULT},
        {**RESULT, "error": None},
    ],
)
def test_results_come_in_wrappings_too(follow: Follow, script: Script, wrapped: Any) -> None:
    """What other servers and SDKs put around a result is taken off (C21, C32)."""
    script.on(POLL, wrapped)
    assert follow().metrics == {"loss:sum": 1.5}


def test_a_body_without_a_status_is_the_result(transport, follow: Follow, script: Script) -> None:
    """A loss_fn_output_type or any other type marks a result (C32)."""
    script.on(POLL, {"loss_fn_output_type": "x", "type": "forward_backward"})
    assert follow(promise(transport, parse=dict))["loss_fn_output_type"] == "x"


# Queue states


def test_a_promise_knows_what_the_queue_last_said(
    transport: Transport, follow: Follow, script: Script
) -> None:
    """State and reason are the latest ones; an empty reason is none, a missing state is active."""
    paused = {**TRY_AGAIN, "queue_state": "paused_capacity", "queue_state_reason": "short"}
    script.on(
        POLL, {"type": "try_again", "request_id": "r-1"}, paused, (408, {**paused, "queue_state_reason": ""}),
        TRY_AGAIN, {**TRY_AGAIN, "queue_state": "paused_rate_limit"}, RESULT,
    )  # fmt: skip
    seen = []
    promised = promise(transport)
    while not isinstance(poll(promised), Done):
        seen.append((promised.queue_state, promised.queue_state_reason))
    assert seen == [
        ("active", None), ("paused_capacity", "short"), ("paused_capacity", None),
        ("active", None), ("paused_rate_limit", None),
    ]  # fmt: skip


# Large results


def metadata(size: Any) -> dict[str, Any]:
    return {"status": "complete_metadata", "response_payload_size": size}


@pytest.mark.holds("F22")
def test_a_large_result_is_fetched_once_its_bytes_are_free(transport, script: Script) -> None:
    """The size comes first; then the payload is asked for, holding that many bytes (C28, F22)."""
    bytes_ = ByteBudget(100)
    taken_while_fetching: list[int] = []

    def payload(request: httpx.Request) -> Any:
        taken_while_fetching.append(bytes_.taken)
        return RESULT

    script.on(POLL, metadata(80), payload)
    promised = promise(transport, response_bytes=bytes_)
    assert poll(promised) == 0.0
    assert bytes_.taken == 0
    assert isinstance(poll(promised), Done)
    assert taken_while_fetching == [80]
    assert bytes_.taken == 0
    assert ["allow_metadata_only" in body for body in script.bodies("retrieve_future")] == [
        True,
        False,
    ]


@pytest.mark.holds("F22")
def test_large_results_wait_for_one_another(transport, script: Script) -> None:
    """One taker may overshoot, and the next waits until the budget is no longer overdrawn (F22)."""
    script.on(POLL, metadata(10**9), RESULT)
    bytes_ = ByteBudget(100)
    promised = promise(transport, response_bytes=bytes_)
    poll(promised)
    polls = len(script.received)

    async def beside_another() -> Any:
        await bytes_.take(101)
        polling = asyncio.ensure_future(promised.poll())
        for _ in range(100):
            await asyncio.sleep(0)
        assert not polling.done()
        assert len(script.received) == polls
        bytes_.give_back(101)
        return await polling

    assert isinstance(transport.run(beside_another()), Done)
    assert bytes_.taken == 0


@pytest.mark.holds("F22")
@pytest.mark.parametrize("failure", [500, REFUSED, (200, b"<html>"), TRY_AGAIN])
def test_bytes_are_given_back_whatever_happens(transport, script: Script, failure: Any) -> None:
    """A failed fetch leaves the budget as it was (F22)."""
    script.on(POLL, metadata(80), failure)
    bytes_ = ByteBudget(100)
    promised = promise(transport, response_bytes=bytes_)
    poll(promised)
    with contextlib.suppress(DecodeError):
        poll(promised)
    assert bytes_.taken == 0


def test_metadata_in_place_of_the_payload_is_an_error(follow: Follow, script: Script) -> None:
    """A server that never sends the payload is not asked for ever (C28)."""
    script.on(POLL, metadata(80))
    with pytest.raises(DecodeError, match="metadata instead of the payload"):
        follow()
    assert len(script.received) == 2


@pytest.mark.parametrize("size", [None, "80", -1, 0])
def test_an_odd_size_does_not_matter(follow: Follow, script: Script, size: Any) -> None:
    """The size only paces; the payload is what counts."""
    script.on(POLL, metadata(size), RESULT)
    assert follow().metrics


# Failed jobs


@pytest.mark.holds("F21")
@pytest.mark.parametrize(
    ("body", "said", "category"),
    [
        ({"error": "out of memory", "category": "server"}, "out of memory", "server"),
        ({"error": "bad data", "category": "USER"}, "bad data", "user"),
        ({"error": "odd"}, "odd", "unknown"),
        ({"error": "odd", "category": "other"}, "odd", "unknown"),
        ({"status": "failed", "error": {"message": "inner", "category": "user"}}, "inner", "user"),
        (
            {"status": "failed", "error": {"message": "inner", "category": "server"}},
            "inner",
            "server",
        ),
        ({"status": "failed"}, "the server gave no reason", "unknown"),
        ({"status": "failed", "error": {}}, "the server gave no reason", "unknown"),
        ((400, {"detail": "rank is too high"}), "rank is too high", "unknown"),
        ((400, {"detail": [{"msg": "a"}, {"msg": "b"}], "category": "user"}), "a; b", "user"),
    ],
)
def test_a_failed_job_ends_the_wait(
    follow: Follow, script: Script, body: Any, said: str, category: str
) -> None:
    """Message and category are the server's, in each of the known forms (F21; C25 goes on polling)."""
    script.on(POLL, body)
    with pytest.raises(RequestFailedError) as caught:
        follow()
    error = caught.value
    assert error.message == f"OptimStep failed: {said}"
    assert (error.category, error.request_id) == (category, "r-1")
    assert error.retryable == (category == "server")
    assert len(script.received) == 1


# Trouble


@pytest.mark.parametrize(
    "trouble", [500, 502, 503, 429, 425, REFUSED, httpx.ReadError("reset")], ids=str
)
def test_passing_trouble_is_waited_out(
    follow: Follow, script: Script, clock: FakeClock, trouble: Any
) -> None:
    """Growing waits, then the result (C31, F4; 5xx too, unlike the reference)."""
    script.on(POLL, trouble, trouble, trouble, RESULT)
    assert follow().metrics
    assert clock.slept == [0.5, 1.0, 2.0]


@pytest.mark.holds("F9")
@pytest.mark.parametrize("status", [429, 503])
def test_a_poll_waits_as_told(
    follow: Follow, script: Script, clock: FakeClock, status: int
) -> None:
    """Retry-After counts for polls as for everything else (F9)."""
    script.on(POLL, (status, {}, {"retry-after": "11"}), RESULT)
    follow()
    assert clock.slept == [11.0]


@pytest.mark.holds("F10")
@pytest.mark.parametrize("trouble", [(500, {"detail": "boom"}), REFUSED], ids=["500", "refused"])
def test_endless_trouble_ends_with_its_history(
    follow: Follow, script: Script, clock: FakeClock, trouble: Any
) -> None:
    """After five minutes the error tells every poll; no poll came sooner than its wait (F10, C23)."""
    script.on(POLL, trouble)
    with pytest.raises((ServerError, ConnectError)) as caught:
        follow()
    error = caught.value
    polls = [asked for asked in script.bodies("retrieve_future") if asked["request_id"] == "r-1"]
    assert 240 < sum(clock.slept) <= 300
    assert len(polls) == len(clock.slept) + 1 < 30
    assert len(error.attempts) == len(polls)
    assert error.attempts[1] in {"0.5 s: HTTP 500", "0.5 s: ConnectError"}
    assert f"gave up after {len(polls)} attempts" in str(error)
    assert "may still be running on the server" in str(error)
    assert error.request_id == "r-1"


@pytest.mark.holds("F10")
def test_trouble_of_changing_kinds_ends_too(follow: Follow, script: Script) -> None:
    """A server that answers 404 and 500 in turns is not polled for ever."""
    script.on(POLL, *[500, 404] * 500)
    with pytest.raises(TinkexError):
        follow()
    assert len(script.received) < 60


def test_a_good_answer_ends_trouble(
    follow: Follow, script: Script, clock: FakeClock, caplog
) -> None:
    """Old trouble neither counts nor lengthens the waits of new one, and its end is told."""
    script.on(POLL, 500, 500, TRY_AGAIN, 500, RESULT)
    with caplog.at_level(logging.INFO, logger="tinkex"):
        follow()
    assert clock.slept == [0.5, 1.0, 0.04, 0.5]
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO", "WARNING", "INFO"]


@pytest.mark.holds("F44")
def test_an_empty_retry_budget_slows_polls_down_and_fails_none(
    make_transport, script, clock
) -> None:
    """Work that the server has accepted is not given up because other calls fail (F44)."""
    transport = make_transport(budget=RetryBudget(0))
    script.on(POLL, 503, 503, RESULT)
    promised = promise(transport)
    assert [poll(promised), poll(promised)] == [20.0, 20.0]
    assert isinstance(poll(promised), Done)


@pytest.mark.holds("F14", "F15", "F16")
@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, AuthenticationError),
        (402, BillingError),
        (403, PermissionDeniedError),
        (501, TinkexError),
    ],
)
def test_what_will_not_pass_ends_the_wait_at_once(
    follow: Follow, script: Script, clock: FakeClock, status: int, error: type[TinkexError]
) -> None:
    """Typed errors with the request's id (F14, F16)."""
    script.on(POLL, (status, {"detail": "no"}))
    with pytest.raises(error) as caught:
        follow()
    assert caught.value.request_id == "r-1"
    assert clock.slept == []
    assert len(script.received) == 1


# Failed jobs that come as error statuses


def by_promise(mine: Any, others: Any) -> Callable[[httpx.Request], Any]:
    """Answer polls for the promise in one way and those for any other in another."""

    def answer(request: httpx.Request) -> Any:
        asked = json.loads(request.content)["request_id"]
        found = mine if asked == "r-1" else others
        return found(asked) if callable(found) else found

    return answer


@pytest.mark.parametrize("status", [400, 409, 422])
def test_a_failed_job_may_come_as_an_error_status(
    transport: Transport, follow: Follow, script: Script, status: int
) -> None:
    """It is the job's failure and no trouble with the poll, and whoever numbers jobs hears of it."""
    ended: list[int | None] = []
    script.on(POLL, (status, {"detail": "the prompt is too long"}))
    with pytest.raises(
        RequestFailedError, match="OptimStep failed: the prompt is too long"
    ) as caught:
        follow(promise(transport, on_end=ended.append))
    assert (caught.value.status_code, caught.value.request_id) == (status, "r-1")
    assert ended == [status]
    assert len(script.received) == 1


def test_a_404_that_the_server_says_of_this_promise_alone_is_a_failed_job(
    follow: Follow, script: Script, clock: FakeClock
) -> None:
    """What the job needed was not found: a promise that never was gets another answer."""
    mine = (404, {"detail": "Checkpoint x not found."})
    script.on(POLL, by_promise(mine, lambda asked: (404, {"detail": f"Future {asked} not found."})))
    with pytest.raises(RequestFailedError, match="Checkpoint x not found"):
        follow()
    assert sum(clock.slept) < 1


def test_a_404_of_something_in_between_is_no_failed_job(follow: Follow, script: Script) -> None:
    """It says something else than the server, and says it once."""
    script.on(POLL, (404, {"detail": "no upstream"}), RESULT)
    assert follow().metrics


def test_a_404_that_the_server_says_of_any_promise_is_waited_out(
    follow: Follow, script: Script, clock: FakeClock
) -> None:
    """The promise is unknown, for now or for good; the ids in the answers do not count."""

    def unknown(asked: str) -> Any:
        return 404, {"detail": f"Future {asked} not found."}

    script.on(POLL, by_promise(unknown, unknown))
    with pytest.raises(FutureLostError):
        follow()
    assert sum(clock.slept) > 90
    strangers = {asked["request_id"] for asked in script.bodies("retrieve_future")} - {"r-1"}
    assert len(strangers) == 1


def test_a_result_that_the_server_cannot_write_ends_soon_with_its_words(
    follow: Follow, script: Script, clock: FakeClock
) -> None:
    """Where polls for others are answered, 500 at each poll is no outage."""
    broken = (500, {"detail": "Out of range float values are not JSON compliant"})
    script.on(POLL, by_promise(broken, (404, {"detail": "no such future"})))
    with pytest.raises(RequestFailedError, match="Out of range float values") as caught:
        follow()
    assert (caught.value.category, caught.value.status_code) == ("server", 500)
    assert sum(clock.slept) < 20


def test_an_outage_that_ends_is_waited_out_however_many_polls_it_takes(
    follow: Follow, script: Script
) -> None:
    """A server that answers nobody is not taken for one that fails at this result."""
    script.on(POLL, *[500] * 12, RESULT)
    assert follow().metrics


@pytest.mark.parametrize("name", ["7", "fb-0", "468c42d3-b44a-4693-a2f1-07029670c83f"])
def test_the_id_that_no_promise_has_keeps_its_shape(name: str) -> None:
    """Servers that read ids as integers, or as UUIDs, can read it."""
    stranger = _stranger(name)
    assert stranger != name
    assert stranger.isdigit() == name.isdigit()
    assert stranger.count("-") == name.count("-")


def test_the_server_may_forbid_further_polls(follow: Follow, script: Script) -> None:
    """x-should-retry counts here too."""
    script.on(POLL, (503, {}, {"x-should-retry": "false"}))
    with pytest.raises(ServerError):
        follow()
    assert len(script.received) == 1


@pytest.mark.holds("F17")
def test_a_promise_that_is_unknown_for_a_moment_is_waited_for(
    follow: Follow, script: Script
) -> None:
    """A 404 from a replica that lags behind is no loss (F17)."""
    script.on(POLL, 404, 404, RESULT)
    assert follow().metrics


@pytest.mark.holds("F18")
@pytest.mark.parametrize(
    ("resubmittable", "advice"), [(True, "can be sent again"), (False, "look at the model")]
)
def test_a_promise_that_stays_unknown_is_lost(
    transport, follow: Follow, script: Script, clock: FakeClock, resubmittable: bool, advice: str
) -> None:
    """After two minutes the error says whether sending the work again is safe (F18)."""
    script.on(POLL, 404)
    with pytest.raises(FutureLostError, match=advice) as caught:
        follow(promise(transport, resubmittable=resubmittable))
    assert caught.value.resubmittable is resubmittable
    assert (caught.value.status_code, caught.value.request_id) == (404, "r-1")
    assert 90 < sum(clock.slept) <= 120


@pytest.mark.holds("F19")
def test_a_promise_that_has_expired_is_lost_at_once(follow: Follow, script: Script) -> None:
    """410 is one request and an error that says so (C27, F19)."""
    script.on(POLL, (410, {"category": "user"}))
    with pytest.raises(FutureLostError, match="expired") as caught:
        follow()
    assert (caught.value.status_code, caught.value.category) == (410, "server")
    assert len(script.received) == 1


@pytest.mark.parametrize(
    "bare", [b"", b"{}", b" {}\n", b"null", b'{"message": ""}', b'{"error": null}']
)
def test_a_bare_400_is_a_proxys_and_passes(follow: Follow, script: Script, bare: bytes) -> None:
    """A rejection that says nothing is asked again, three times in a row (C26, wire 4.4)."""
    script.on(
        POLL, (400, bare), (400, bare), TRY_AGAIN, (400, bare), (400, bare), (400, bare), RESULT
    )
    assert follow().metrics
    script.on(POLL, (400, bare))
    script.received.clear()
    with pytest.raises(BadRequestError):
        follow()
    assert len(script.received) == 4


@pytest.mark.parametrize(
    "body", [{"message": "malformed"}, {"error": "malformed"}, b"<html>Bad Request</html>"]
)
def test_a_400_that_says_something_else_ends_the_wait(
    follow: Follow, script: Script, body: Any
) -> None:
    """The request itself is wrong (C26)."""
    script.on(POLL, (400, body))
    with pytest.raises(BadRequestError):
        follow()
    assert len(script.received) == 1


# Answers that are none


@pytest.mark.holds("F20")
@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[]",
        b"7",
        b"<html>",
        b"\xff\x00",
        b'{"status": "completed", "result": 5}',
        b'{"metrics": 5}',
    ],
)
def test_a_success_with_the_wrong_body_is_a_decode_error(
    follow: Follow, script: Script, body: bytes
) -> None:
    """A proxy's page is not taken for a result (F20)."""
    script.on(POLL, (200, body))
    with pytest.raises(DecodeError, match="polling OptimStep") as caught:
        follow()
    assert caught.value.request_id == "r-1"


def test_a_parser_that_stumbles_is_a_decode_error(
    transport, follow: Follow, script: Script
) -> None:
    """No bare KeyError comes out of a remote problem."""
    script.on(POLL, RESULT)
    for parse in (
        lambda body: body["absent"],
        lambda body: body.absent,
        lambda body: int("x"),
        lambda body: 1 + body,
    ):
        with pytest.raises(DecodeError):
            follow(promise(transport, parse=parse))


@pytest.mark.holds("F20")
@given(
    status=st.sampled_from([200, 400, 404, 408, 410, 429, 500]),
    body=st.dictionaries(
        st.sampled_from(["type", "status", "error", "category", "result", "queue_state", "queue_state_reason",
                         "retry_after_ms", "response_payload_size", "metrics", "detail"]),
        st.none() | st.booleans() | st.integers() | st.sampled_from(
            ["try_again", "pending", "completed", "failed", "complete_metadata", "", "x"]
        ) | st.lists(st.none(), max_size=1) | st.dictionaries(st.sampled_from(["message", "category"]), st.text(max_size=3), max_size=2),
        max_size=5,
    ),
)  # fmt: skip
def test_any_answer_is_a_wait_a_result_or_one_of_our_errors(
    transport, script: Script, status, body
) -> None:
    """No combination of fields makes anything else, and no wait is negative or endless (F20)."""
    script.on(POLL, (status, body))
    promised = promise(transport)
    try:
        outcome = poll(promised)
    except TinkexError:
        return
    assert isinstance(outcome, Done) or 0 <= outcome <= 120
