"""One way to the server: what is sent, what is repeated, and what an answer becomes."""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import socket
import ssl
import threading
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support import calls
from support.calls import CAPABILITIES, STEP
from support.clock import FakeClock, set_wall_clock
from support.interrupts import interrupted
from support.ports import unanswered_port
from support.raw_server import RawServer
from support.scripted import BASE_URL, Script
from tinkex_generated.api.service import get_server_capabilities
from tinkex_generated.types import Request

from tinkex._core.retry import RetryBudget
from tinkex._core.transport import Transport
from tinkex.config import Config
from tinkex.errors import (
    ApiError,
    AuthenticationError,
    BillingError,
    ClientClosedError,
    ConfigurationError,
    ConflictError,
    ConnectError,
    DecodeError,
    PermissionDeniedError,
    ProxyError,
    RateLimitError,
    ReadTimeoutError,
    ServerError,
    TinkexError,
    TLSError,
    TransportError,
    UnprocessableError,
)

GOOD = {"supported_models": []}
SESSION = "POST create_session"
PUBLISH = "POST training_runs/R/checkpoints/weights/c/publish"
TTL = "PUT training_runs/R/checkpoints/weights/c/ttl"
BEAT = "POST session_heartbeat"
# The classes of requests that the server recognises or does not mind.
SAFE = [(CAPABILITIES, calls.read), (STEP, calls.step), (TTL, calls.repeatable)]
UNSAFE = [(SESSION, calls.unkeyed), (PUBLISH, calls.publish)]


def caused(error: httpx.HTTPError, cause: Exception) -> httpx.HTTPError:
    error.__cause__ = cause
    return error


REFUSED = httpx.ConnectError("[Errno 111] Connection refused")
UNRESOLVED = caused(httpx.ConnectError("nope"), socket.gaierror(-2, "Name or service not known"))
UNTRUSTED = caused(
    httpx.ConnectError("certificate verify failed"), ssl.SSLCertVerificationError("self-signed")
)


@pytest.fixture
def raw() -> Iterator[RawServer]:
    server = RawServer()
    yield server
    server.close()


# What is sent


@pytest.mark.holds("F4")
def test_every_attempt_carries_the_same_bytes_and_key_and_says_which_it_is(
    transport: Transport, script: Script
) -> None:
    """The server can tell a repetition from a new call, and count repetitions (C19, F4)."""
    script.on(
        STEP, 503, httpx.ReadError("reset"), httpx.ReadTimeout("slow"), 429, {"request_id": "r"}
    )
    transport.send(calls.step())
    sent = script.sent("optim_step")
    assert [got.headers["x-stainless-retry-count"] for got in sent] == ["0", "1", "2", "3", "4"]
    assert len({got.content for got in sent}) == 1
    assert len({got.headers["x-idempotency-key"] for got in sent}) == 1


def test_every_call_has_a_key_of_its_own(transport: Transport, script: Script) -> None:
    """The same call made twice on purpose has two effects (C19)."""
    script.on(STEP, {"request_id": "r"})
    transport.send(calls.step())
    transport.send(calls.step())
    first, second = (got.headers["x-idempotency-key"] for got in script.sent("optim_step"))
    assert first != second


def test_reading_needs_no_key(transport: Transport, script: Script) -> None:
    """A GET has no effect to be told apart (C19)."""
    script.on(CAPABILITIES, GOOD)
    transport.send(calls.read())
    assert "x-idempotency-key" not in script.received[0].headers


def test_each_request_says_who_asks(make_transport, script: Script) -> None:
    """The headers of wire.md 1.4 are there, once each."""
    transport = make_transport(
        api_key="tml-abcdef123456",
        timeout=30,
        cf_access_client_id="id",
        cf_access_client_secret="cloudflare",
        default_headers={"x-team": "a", "user-agent": "Mine/1"},
    )
    script.on(STEP, {"request_id": "r"})
    transport.send_once(calls.step(), headers={"ACCEPT": "application/x-protobuf"}, timeout=12)
    headers = script.received[0].headers
    assert headers["x-api-key"] == "tml-abcdef123456"
    assert headers["cf-access-client-id"] == "id"
    assert headers["cf-access-client-secret"] == "cloudflare"
    assert headers["x-team"] == "a"
    assert headers.get_list("user-agent") == ["Mine/1"]
    assert headers.get_list("accept") == ["application/x-protobuf"]
    assert headers["content-type"] == "application/json"
    assert headers["x-stainless-read-timeout"] == "12.000"
    assert headers["x-stainless-async"] == "false"
    for name in ("package-version", "os", "arch", "runtime", "runtime-version"):
        assert headers[f"x-stainless-{name}"]


def test_query_parameters_of_the_call_win_over_the_default_ones(
    make_transport, script: Script
) -> None:
    """Defaults fill in what the call leaves open (C15)."""
    transport = make_transport(default_query={"mode": "default", "team": "a b"})
    script.on(CAPABILITIES, GOOD)
    request = calls.read()
    transport.send(
        Request(operation="x", method="GET", path=request.path, params={"mode": "override"})
    )
    assert script.received[0].url.endswith("?mode=override&team=a+b") or script.received[
        0
    ].url.endswith("?mode=override&team=a%20b")


@pytest.mark.holds("S16")
@pytest.mark.parametrize(
    "training_run_id",
    [
        "../../x",
        "a/../b",
        "x?y=1",
        "x#y",
        "%2e%2e",
        "a b",
        "//evil.org/x",
        "\\..",
        "ü",
        "a\r\nHost: b",
        "S:train:0",
    ],
)
def test_an_id_cannot_leave_its_place_in_the_path(
    transport: Transport, script: Script, training_run_id: str
) -> None:
    """Whatever stands in an id arrives as one segment (S16)."""
    with pytest.raises(TinkexError):
        transport.send(calls.run(training_run_id))
    url = httpx.URL(script.received[-1].url)
    path, _, query = url.raw_path.decode().partition("?")
    assert path.startswith("/prefix/api/v1/training_runs/")
    segment = path.removeprefix("/prefix/api/v1/training_runs/")
    assert not set("/?#\\ \r\n") & set(segment)
    assert (url.host, query) == ("127.0.0.1", "access_scope=owned")
    assert httpx.URL("http://h/" + segment).path == "/" + training_run_id


@pytest.mark.holds("S16")
@pytest.mark.parametrize("training_run_id", ["", ".", ".."])
def test_an_id_that_would_change_the_path_is_refused(training_run_id: str) -> None:
    """Dots alone would climb (S16)."""
    with pytest.raises(ValueError, match="path parameter"):
        calls.run(training_run_id)


# What is repeated


@pytest.mark.parametrize(("route", "build"), SAFE)
@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
def test_what_may_pass_is_tried_again(transport, script: Script, route, build, status: int) -> None:
    """503, 503, 200 is three requests and a success (C10, C13; 409 is a matter of its own)."""
    script.on(route, status, status, (200, GOOD))
    assert transport.send(build()).status_code == 200
    assert len(script.received) == 3


@pytest.mark.holds("F14", "F15", "F16")
@pytest.mark.parametrize(("route", "build"), SAFE + UNSAFE)
@pytest.mark.parametrize(
    ("status", "error"),
    [(401, AuthenticationError), (402, BillingError), (403, PermissionDeniedError), (409, ConflictError),
     (422, UnprocessableError), (501, ApiError)],
)  # fmt: skip
def test_what_will_not_pass_is_raised_at_once(
    transport, script: Script, clock: FakeClock, route, build, status: int, error
) -> None:
    """A wrong key, an empty account or a refused field is told without delay (C13, F14-F16)."""
    script.on(route, status)
    with pytest.raises(error) as caught:
        transport.send(build())
    assert caught.value.status_code == status
    assert not caught.value.retryable
    assert len(script.received) == 1
    assert clock.slept == []


@pytest.mark.parametrize(("route", "build"), SAFE)
@pytest.mark.parametrize(
    "failure",
    [
        httpx.ReadTimeout("slow"),
        httpx.ReadError("reset"),
        httpx.RemoteProtocolError("cut"),
        httpx.WriteError("x"),
    ],
    ids=lambda failure: type(failure).__name__,
)
def test_a_broken_exchange_is_repeated_where_the_server_recognises_it(
    transport, script: Script, route, build, failure
) -> None:
    """A request that may have arrived is sent again if that has one effect (F3-F7)."""
    script.on(route, failure, (200, GOOD))
    assert transport.send(build()).status_code == 200
    assert len(script.received) == 2


@pytest.mark.parametrize(("route", "build"), UNSAFE)
@pytest.mark.parametrize(
    "failure", [httpx.ReadTimeout("slow"), httpx.ReadError("reset"), 500, 502, 504, 408], ids=str
)
def test_a_write_without_a_key_is_not_repeated_when_it_may_have_arrived(
    transport, script: Script, route, build, failure
) -> None:
    """Two sessions, or a refusal of what has succeeded, would be worse than an error."""
    script.on(route, failure, (200, GOOD))
    with pytest.raises(TinkexError):
        transport.send(build())
    assert len(script.received) == 1


@pytest.mark.parametrize(("route", "build"), UNSAFE)
@pytest.mark.parametrize("failure", [REFUSED, httpx.ConnectTimeout("x"), 429, 503], ids=str)
def test_a_write_without_a_key_is_repeated_when_it_had_no_effect(
    transport, script: Script, route, build, failure
) -> None:
    """Nothing was sent, or the server says that it did nothing."""
    script.on(route, failure, (200, GOOD))
    assert transport.send(build()).status_code == 200
    assert len(script.received) == 2


def test_a_background_request_is_sent_once(transport, script: Script) -> None:
    """The next heartbeat comes anyway."""
    script.on(BEAT, 503)
    with pytest.raises(ServerError):
        transport.send(calls.background())
    assert len(script.received) == 1


def test_the_number_of_attempts_is_bounded(make_transport, script: Script) -> None:
    """max_retries=1 with three 503s is two requests and the 503, with its history (C10)."""
    script.on(CAPABILITIES, 503)
    with pytest.raises(ServerError) as caught:
        make_transport(max_retries=1).send(calls.read())
    assert len(script.received) == 2
    assert caught.value.attempts == ("0.0 s: HTTP 503", "0.5 s: HTTP 503")
    assert "gave up after 2 attempts in 0.5 s" in str(caught.value)
    assert caught.value.retryable


def test_the_server_may_forbid_a_repetition(transport, script: Script) -> None:
    """x-should-retry: false ends a call that our table would repeat (C11)."""
    script.on(CAPABILITIES, (503, {}, {"X-Should-Retry": "false"}))
    with pytest.raises(ServerError):
        transport.send(calls.read())
    assert len(script.received) == 1


@pytest.mark.parametrize(("route", "build"), [*SAFE, *UNSAFE])
def test_the_server_may_ask_for_a_repetition(transport, script: Script, route, build) -> None:
    """x-should-retry: true repeats a call that our table would end (C11)."""
    script.on(route, (400, {}, {"x-should-retry": "TRUE"}), (200, GOOD))
    assert transport.send(build()).status_code == 200
    assert len(script.received) == 2


@pytest.mark.holds("F8")
@pytest.mark.parametrize(
    ("headers", "waited"),
    [({"RETRY-AFTER-MS": "5"}, 0.005), ({"Retry-After": "4"}, 4.0), ({"retry-after": "0.5"}, 0.5),
     ({"Retry-After": "-3"}, 0.5), ({"Retry-After": "soon"}, 0.5), ({"Retry-After": "120"}, 120.0)],
)  # fmt: skip
def test_the_wait_is_what_the_server_asks_for(
    transport, script: Script, clock: FakeClock, headers, waited: float
) -> None:
    """Exactly that long, or our own wait if the header makes no sense (C12, F8, F13)."""
    script.on(STEP, (503, {}, headers), {"request_id": "r"})
    transport.send(calls.step())
    assert clock.slept == [waited]


@pytest.mark.holds("F13")
def test_a_wait_of_more_than_two_minutes_is_left_to_the_caller(
    transport, script: Script, clock: FakeClock
) -> None:
    """The error says how long the server asked for (F13; the reference would wait)."""
    script.on(STEP, (429, {}, {"retry-after": "86400"}))
    with pytest.raises(RateLimitError) as caught:
        transport.send(calls.step())
    assert caught.value.retry_after == 86400
    assert "the server asks to wait 86400 s" in str(caught.value)
    assert clock.slept == []


@pytest.mark.holds("F1")
def test_no_server_at_the_address_is_told_after_three_attempts(
    transport, script: Script, clock: FakeClock, caplog
) -> None:
    """Before anything ever answered a wrong address is likelier than an outage (F1)."""
    script.on(CAPABILITIES, REFUSED)
    with caplog.at_level(logging.WARNING), pytest.raises(ConnectError) as caught:
        transport.send(calls.read())
    assert len(script.received) == 3
    assert sum(clock.slept) < 2
    assert "127.0.0.1:9" in str(caught.value)
    assert "Connection refused" in str(caught.value)
    assert len(caught.value.attempts) == 3
    assert len(caplog.records) == 2


def test_a_server_that_was_there_is_waited_for(transport, script: Script) -> None:
    """After first contact a refused connection is a restart, and gets all attempts."""
    script.on(CAPABILITIES, GOOD, *[REFUSED] * 6, GOOD)
    transport.send(calls.read())
    transport.send(calls.read())
    assert len(script.received) == 8


@pytest.mark.holds("F2")
def test_an_unknown_host_is_told_as_such(transport, script: Script) -> None:
    """DNS failures say what to check, and are repeated at most twice (F2)."""
    script.on(CAPABILITIES, UNRESOLVED)
    with pytest.raises(ConnectError, match="cannot resolve the host of http://127"):
        transport.send(calls.read())
    assert len(script.received) == 3


@pytest.mark.holds("F42")
def test_a_certificate_that_is_not_accepted_is_told_at_once(transport, script: Script) -> None:
    """No retry mends a certificate, and the message says what does (F42)."""
    script.on(CAPABILITIES, UNTRUSTED)
    with pytest.raises(TLSError, match="TINKEX_CA_BUNDLE") as caught:
        transport.send(calls.read())
    assert len(script.received) == 1
    assert not caught.value.retryable


def test_a_request_that_cannot_be_sent_is_not_repeated(transport, script: Script) -> None:
    """A request that breaks the protocol breaks it every time."""
    script.on(CAPABILITIES, httpx.LocalProtocolError("illegal header"))
    with pytest.raises(TransportError, match="cannot be sent"):
        transport.send(calls.read())
    assert len(script.received) == 1


@pytest.mark.holds("F3")
def test_a_read_timeout_is_told_as_such(make_transport, script: Script) -> None:
    """A server that accepts and stays silent has an error of its own (F3)."""
    script.on(CAPABILITIES, httpx.ReadTimeout("timed out"))
    with pytest.raises(ReadTimeoutError, match="did not respond in time"):
        make_transport(max_retries=2).send(calls.read())


@pytest.mark.holds("F41", "S17")
def test_a_proxy_is_named_without_its_password(clock: FakeClock) -> None:
    """Who looks for the mistake sees the proxy, and nobody sees its password (F41, S17)."""
    with unanswered_port() as port:
        config = Config.resolve(
            base_url="http://tinker.example.org",
            api_key="tml-abcdef123456",
            environ={},
            allow_insecure=True,
            proxy=f"http://user:canary@127.0.0.1:{port}",
        )
        with (
            closing(Transport(config, clock=clock)) as transport,
            pytest.raises(ProxyError, match="through the proxy http://127") as caught,
        ):
            transport.send(calls.read())
    assert f"through the proxy http://127.0.0.1:{port}" in str(caught.value)
    assert "canary" not in str(caught.value)
    assert len(caught.value.attempts) == 3


@pytest.mark.parametrize(
    ("headers", "sent"), [({}, b"Basic dTpw"), ({"proxy-authorization": "Bearer x"}, b"Bearer x")]
)
def test_a_proxy_header_replaces_what_the_proxys_url_says(
    raw: RawServer, headers: dict[str, str], sent: bytes
) -> None:
    """Explicit headers win over user name and password (C9)."""
    config = Config.resolve(
        base_url="http://tinker.example.org",
        api_key="tml-abcdef123456",
        environ={},
        allow_insecure=True,
        proxy=f"http://u:p@127.0.0.1:{raw.port}",
        proxy_headers=headers,
    )
    with closing(Transport(config)) as transport:
        transport.send(calls.read())
    head = [line.partition(b": ") for line in raw.received[0].split(b"\r\n")]
    assert [value for name, _, value in head if name.lower() == b"proxy-authorization"] == [sent]


@pytest.mark.holds("F44")
def test_an_outage_does_not_become_a_storm(make_transport, script: Script) -> None:
    """When all calls fail, the retries of all of them together are bounded (F44)."""
    transport = make_transport(budget=RetryBudget(capacity=100))
    script.on(CAPABILITIES, 503)
    for _ in range(50):
        with pytest.raises(ServerError):
            transport.send(calls.read())
    assert len(script.received) == 50 + 100 // RetryBudget.RETRY_COST


def test_successes_of_every_kind_earn_retries_back(make_transport, script: Script) -> None:
    """A session that only polls recovers from an outage too."""
    transport = make_transport(budget=(budget := RetryBudget(capacity=10)))
    budget.spend(10)
    script.on(CAPABILITIES, GOOD)
    transport.send(calls.read())
    transport.send_once(calls.read())
    script.on(CAPABILITIES, 500)
    transport.send_once(calls.read())
    assert budget.tokens == 2


@pytest.mark.holds("F1")
def test_one_line_tells_of_each_retry_and_one_of_the_recovery(
    transport, script: Script, caplog
) -> None:
    """The log says cause, number and delay, and when it is over."""
    script.on(CAPABILITIES, 503, httpx.ReadError("reset"), GOOD)
    with caplog.at_level(logging.INFO, logger="tinkex"):
        transport.send(calls.read())
    assert [record.message for record in caplog.records] == [
        "get_server_capabilities: HTTP 503; attempt 2 in 0.5 s",
        "get_server_capabilities: TransportError; attempt 3 in 1.0 s",
        "get_server_capabilities succeeded on attempt 3",
    ]


@pytest.mark.holds("F33")
@pytest.mark.parametrize("jump", [-3600.0, 3600.0])
def test_a_wall_clock_that_jumps_changes_nothing(
    transport, script: Script, clock: FakeClock, monkeypatch, jump: float
) -> None:
    """Waits and deadlines are measured by the monotonic clock alone (F33)."""
    now = 1_800_000_000.0
    times = itertools.cycle([now, now + jump, now - jump])
    set_wall_clock(monkeypatch, lambda: next(times))
    script.on(CAPABILITIES, 503, (503, {}, {"retry-after": "3"}), 503, GOOD)
    transport.send(calls.read())
    assert clock.slept == [0.5, 3.0, 1.0]


# What an answer becomes


BAD_BODIES = [b"", b"null", b"[]", b'"x"', b"7", b"<html><body>Sign in</body></html>", b"\xff\xfe\x00", b'{"supported_models": 5}', b"{" * 10_000]  # fmt: skip


@pytest.mark.holds("F20")
@pytest.mark.parametrize("body", BAD_BODIES, ids=lambda body: repr(body[:12]))
def test_a_success_with_the_wrong_body_is_a_decode_error(
    transport, script: Script, body: bytes
) -> None:
    """A captive portal's page is told from a result, with its beginning (F20; C18 decided otherwise)."""
    script.on(CAPABILITIES, (200, body, {"content-type": "text/html", "x-request-id": "r-1"}))
    with pytest.raises(DecodeError) as caught:
        transport.call(calls.read(), get_server_capabilities.parse_response)
    shown = str(caught.value).partition("it begins ")[2].partition(". Is base_url")[0]
    assert len(eval(shown)) <= 200
    assert "'text/html'" in str(caught.value)
    assert caught.value.request_id == "r-1"
    assert caught.value.status_code == 200
    assert len(str(caught.value)) < 1000


@pytest.mark.holds("F20")
@given(body=st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_no_body_makes_anything_but_an_answer_or_a_decode_error(
    transport, script: Script, body: bytes
) -> None:
    """Whatever bytes come, no bare error of a JSON library does (F20)."""
    script.on(CAPABILITIES, (200, body))
    with contextlib.suppress(DecodeError):
        transport.call(calls.read(), get_server_capabilities.parse_response)


@pytest.mark.holds("F20")
def test_unknown_fields_are_no_mistake(transport, script: Script) -> None:
    """A newer server's additions are ignored (F20)."""
    script.on(CAPABILITIES, {"supported_models": [{"model_name": "m", "new": 1}], "newer": {}})
    answer = transport.call(calls.read(), get_server_capabilities.parse_response)
    assert answer.supported_models[0].model_name == "m"


def test_a_body_that_cannot_be_unpacked_is_a_decode_error(transport, script: Script) -> None:
    """Broken gzip is the server's fault, not a connection's."""
    script.on(
        CAPABILITIES,
        lambda _: httpx.Response(
            200, headers={"content-encoding": "gzip"}, content=iter([b"this is no gzip"])
        ),
    )
    with pytest.raises(DecodeError, match="cannot be decompressed"):
        transport.send(calls.read())


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"detail": "no such model"}, "no such model"),
        ({"message": "slow down", "error": "x"}, "slow down"),
        ({"error": {"message": "inner"}}, "inner"),
        ({"detail": [{"loc": ["body", "data", 0], "msg": "field required"}, {"msg": "b"}, "c"]}, "data.0: field required; b; c"),
        ({"detail": [{"loc": 5, "msg": "odd"}]}, "odd"),
        (b"<html>\n<b>Bad\tGateway</b></html>", "<html> <b>Bad Gateway</b></html>"),
        (b"", "Internal Server Error"),
        ([1], "[1]"),
        ({"detail": "a\x1b[31mred\x07"}, "a\N{REPLACEMENT CHARACTER}[31mred\N{REPLACEMENT CHARACTER}"),
    ],
)  # fmt: skip
def test_the_message_holds_what_the_server_said(
    transport, script: Script, body: Any, said: str
) -> None:
    """Each server's way to say what is wrong is read, without what would move a terminal's cursor."""
    script.on(PUBLISH, (500, body))
    with pytest.raises(ServerError) as caught:
        transport.send(calls.publish())
    assert caught.value.message.startswith(f"publish_checkpoint failed with HTTP 500: {said} — ")


@given(
    body=st.recursive(
        st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["detail", "message", "error", "loc", "msg", "category", "request_id"]), inner, max_size=4
        ),
        max_leaves=12,
    )
)  # fmt: skip
def test_any_error_body_becomes_the_error_of_its_status(
    transport, script: Script, body: Any
) -> None:
    """An odd error body does not hide the error."""
    script.on(PUBLISH, (422, body))
    with pytest.raises(UnprocessableError):
        transport.send(calls.publish())


def test_the_error_carries_what_the_server_told_of_it(transport, script: Script) -> None:
    """Request id, category, retry_after and body are there for programs and for support (C13)."""
    headers = {"x-request-id": "from-header", "retry-after": "3"}
    script.on(PUBLISH, (400, {"detail": "d", "category": "Server"}, headers))
    with pytest.raises(ApiError) as caught:
        transport.send(calls.publish())
    error = caught.value
    assert (error.request_id, error.category, error.retry_after) == ("from-header", "server", 3.0)
    assert error.body == '{"detail": "d", "category": "Server"}'
    script.on(PUBLISH, (422, {"detail": "d", "request_id": "from-body"}, headers))
    with pytest.raises(ApiError) as caught:
        transport.send(calls.publish())
    assert (caught.value.request_id, caught.value.category) == ("from-body", "user")


def test_a_huge_message_is_cut(transport, script: Script) -> None:
    """A traceback of a megabyte does not fill the terminal."""
    script.on(PUBLISH, (500, {"detail": "x" * 10**6}))
    with pytest.raises(ServerError) as caught:
        transport.send(calls.publish())
    assert len(str(caught.value)) < 2500


@pytest.mark.holds("S5")
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    "location",
    ["https://evil.example.org/x", "//evil.example.org", "/elsewhere", "http://127.0.0.1:10/"],
)
def test_redirects_are_never_followed(
    make_transport, script: Script, status: int, location: str
) -> None:
    """The key goes to the configured server and nowhere else (S5)."""
    transport = make_transport(api_key="tml-abcdef123456")
    for route, build in (SAFE[0], SAFE[1], UNSAFE[1]):
        script.received.clear()
        script.on(route, (status, {}, {"location": location}))
        with pytest.raises(ApiError, match="redirects are not followed") as caught:
            transport.send(build())
        assert caught.value.status_code == status
        assert [httpx.URL(got.url).host for got in script.received] == ["127.0.0.1"]


def test_a_caller_may_take_a_redirect_as_the_answer(transport, script: Script) -> None:
    """The route of archives answers with an address, which is the result (C16)."""
    script.on(CAPABILITIES, (302, {}, {"location": "https://files.example.org/a", "expires": "x"}))
    answer = transport.send(calls.read(), accept=(302,))
    assert (answer.status_code, answer.headers["Location"]) == (302, "https://files.example.org/a")
    assert answer.headers["EXPIRES"] == "x"
    assert len(script.received) == 1


# Streams


def test_an_answer_can_be_read_while_it_comes(transport, script: Script) -> None:
    """A stream hands out its pieces, and the error of a stream is typed."""
    script.on(CAPABILITIES, lambda _: httpx.Response(200, content=iter([b"a\n", b"b\n"])))
    with transport.stream(calls.read()) as response:
        assert list(response.iter_bytes()) == [b"a\n", b"b\n"]
    script.on(CAPABILITIES, (503, {"detail": "full"}))
    with pytest.raises(ServerError, match="full"), transport.stream(calls.read()):
        pass


@pytest.mark.holds("S3")
def test_a_stream_that_breaks_is_a_transport_error_without_the_request(
    make_transport, script: Script
) -> None:
    """What was sent, and with it the key, hangs on no error (S3)."""

    def break_off() -> Any:
        yield b"a\n"
        raise httpx.ReadError("reset")

    transport = make_transport(api_key="tml-abcdef123456")
    script.on(CAPABILITIES, lambda _: httpx.Response(200, content=break_off()))
    with (
        pytest.raises(TransportError, match="broke") as caught,
        transport.stream(calls.read()) as response,
    ):
        list(response.iter_bytes())
    error: BaseException | None = caught.value
    while error is not None:
        assert getattr(error, "_request", None) is None
        error = error.__cause__ or error.__context__


# Its life


def test_a_closed_client_says_so(transport, script: Script) -> None:
    """Calls after close are refused by name; closing twice does no harm."""
    transport.close()
    transport.close()
    for call in (transport.send, transport.send_once):
        with pytest.raises(ClientClosedError, match="create a new ServiceClient"):
            call(calls.read())
    assert script.received == []


@pytest.mark.parametrize(
    "failure", [httpx.ReadError("closed"), RuntimeError("client has been closed")]
)
def test_a_call_that_another_thread_closes_ends_at_once(
    transport: Transport, script: Script, clock: FakeClock, failure: Exception
) -> None:
    """Closing does not leave calls retrying on a client that is gone."""

    def close_meanwhile(request: httpx.Request) -> Exception:
        closer = threading.Thread(target=transport.close)
        closer.start()
        closer.join()
        return failure

    script.on(CAPABILITIES, close_meanwhile)
    with pytest.raises(ClientClosedError):
        transport.send(calls.read())
    assert clock.slept == []


def test_whatever_a_closed_engine_raises_the_call_says_that_the_client_is_closed(
    transport: Transport, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The exchange may fail before the loop comes to cancel it."""

    async def fail(*_: object) -> None:
        transport.close()
        raise RuntimeError("client has been closed")

    monkeypatch.setattr(transport.engine, "open", fail)
    with pytest.raises(ClientClosedError):
        transport.send(calls.read())


@pytest.mark.holds("F29")
def test_a_forked_process_does_not_share_the_connections(
    transport: Transport, script: Script, monkeypatch
) -> None:
    """Two processes on one socket would mix up their answers (F29)."""
    parent = os.getpid()
    monkeypatch.setattr(os, "getpid", lambda: parent + 1)
    assert transport.is_foreign
    with pytest.raises(ClientClosedError, match="forked"):
        transport.send(calls.read())
    assert script.received == []


def test_an_interrupt_goes_straight_through(make_transport, script: Script) -> None:
    """Ctrl-C is not retried, and its traceback does not show the frames with the headers (F28)."""
    transport = make_transport(api_key="tml-abcdef123456")
    with interrupted() as answer:
        script.on(STEP, answer)
        try:
            transport.send(calls.step())
        except KeyboardInterrupt as error:
            shown = [frame.f_locals for frame, _ in traceback.walk_tb(error.__traceback__)][1:]
            raise
    assert len(script.received) == 1
    assert shown
    assert "abcdef" not in repr([list(found.values()) for found in shown])


def test_headers_can_be_logged_without_their_secrets(
    make_transport, script: Script, caplog
) -> None:
    """dump_headers shows names and plain values, and [REDACTED] for the rest (C17)."""
    transport = make_transport(
        api_key="tml-abcdef123456",
        cf_access_client_secret="canary",
        default_headers={"X-Auth-Token": "canary", "X-Plain": "shown"},
        dump_headers=True,
    )
    script.on(STEP, {"request_id": "r"})
    with caplog.at_level(logging.INFO, logger="tinkex"):
        transport.send(calls.step())
    line = caplog.messages[0]
    assert "POST /api/v1/optim_step" in line
    assert "'X-API-Key': '[REDACTED]'" in line
    assert "CF-Access-Client-Secret" in line
    assert "shown" in line
    assert script.received[0].headers["x-idempotency-key"] in line
    assert "canary" not in line
    assert "abcdef" not in line


@pytest.mark.holds("F42")
def test_unchecked_certificates_are_warned_about(make_transport, caplog) -> None:
    """Whoever switches the check off is told what that means (F42)."""
    with caplog.at_level(logging.WARNING, logger="tinkex"):
        make_transport(verify=False)
    assert "certificates are not checked" in caplog.text


@pytest.mark.holds("F42")
def test_a_ca_bundle_without_certificates_is_a_configuration_error(tmp_path: Path) -> None:
    """The mistake is told by the setting's name, before anything is sent."""
    bundle = tmp_path / "ca.pem"
    bundle.write_text("no certificate")
    config = Config.resolve(
        base_url="https://127.0.0.1:9", api_key="tml-abcdef123456", environ={}, verify=bundle
    )
    with pytest.raises(ConfigurationError, match=r"verify.* names no usable certificates"):
        Transport(config)


def test_a_proxy_variable_that_cannot_be_used_is_a_configuration_error(monkeypatch) -> None:
    """A broken HTTPS_PROXY is told by name and without its password."""
    monkeypatch.setenv("HTTPS_PROXY", "ftp://user:canary@h")
    config = Config.resolve(api_key="tml-abcdef123456", environ={})
    with pytest.raises(ConfigurationError, match="HTTPS_PROXY") as caught:
        Transport(config)
    assert "canary" not in str(caught.value)


@pytest.mark.holds("F41")
def test_this_machine_is_reached_without_the_proxy_of_the_environment(monkeypatch) -> None:
    """A company proxy does not stand between a program and its own local server (F41)."""
    monkeypatch.setenv("HTTP_PROXY", "ftp://not-even-looked-at")
    transport = Transport(Config.resolve(base_url=BASE_URL, environ={}))
    transport.close()
