"""A breaker lets calls through, stops them, and tries again; by itself and under the transport."""

from __future__ import annotations

import threading
from typing import Any

import httpx
import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from support import calls
from support.calls import CAPABILITIES, STEP
from support.clock import FakeClock
from support.extent import examples
from support.scripted import Script, promises, scripted_service

from tinkex import events
from tinkex._core.circuit_breaker import BreakerChange, CircuitBreaker, CircuitBreakers
from tinkex.errors import (
    BadRequestError,
    CircuitOpenError,
    ConfigurationError,
    ServerError,
    TransportError,
    ValidationError,
)


class DownError(Exception):
    """The other side is down."""


def fail(breaker: CircuitBreaker) -> None:
    def down() -> None:
        raise DownError

    with pytest.raises(DownError):
        breaker.call(down)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def breaker(clock: FakeClock) -> CircuitBreaker:
    return CircuitBreaker("it", failure_threshold=3, reset_timeout=10.0, clock=clock)


def test_it_opens_after_so_many_failures_in_a_row(breaker: CircuitBreaker) -> None:
    """A success in between forgets those before it."""
    fail(breaker)
    fail(breaker)
    assert breaker.call(max, 1, 2) == 2
    fail(breaker)
    fail(breaker)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "open"


def test_an_open_breaker_calls_nothing_and_says_when_it_will(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """The error names it, how often it failed, and how long to wait."""
    for _ in range(3):
        fail(breaker)
    clock.advance(4.0)
    called: list[int] = []
    with pytest.raises(
        CircuitOpenError, match=r"calls of it are refused.*last 3 failed.*in 6\.0 s"
    ) as caught:
        breaker.call(called.append, 1)
    assert called == []
    assert caught.value.retry_after == pytest.approx(6.0)
    assert caught.value.retryable
    assert breaker.retry_after == pytest.approx(6.0)


def test_half_open_lets_one_through_and_its_success_closes_it(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """While it is under way, others are refused."""
    for _ in range(3):
        fail(breaker)
    clock.advance(10.0)
    assert breaker.state == "half_open"
    with breaker.guard(), pytest.raises(CircuitOpenError, match="has ended"):
        breaker.call(max, 1, 2)
    assert breaker.state == "closed"
    fail(breaker)
    assert breaker.state == "closed", "earlier failures are forgotten"


def test_a_failure_in_half_open_opens_it_for_as_long_again(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """One is enough."""
    for _ in range(3):
        fail(breaker)
    clock.advance(10.0)
    fail(breaker)
    assert breaker.state == "open"
    assert breaker.retry_after == 10.0


def test_an_interrupted_trial_gives_its_place_to_the_next(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """Ctrl-C says nothing about the other side."""
    for _ in range(3):
        fail(breaker)
    clock.advance(10.0)
    with pytest.raises(KeyboardInterrupt), breaker.guard():
        raise KeyboardInterrupt
    assert breaker.state == "half_open"
    assert breaker.call(max, 1, 2) == 2


def test_what_counts_as_a_failure_can_be_said(breaker: CircuitBreaker) -> None:
    """An error that shows that the other side works is no failure."""
    for _ in range(5):
        with pytest.raises(KeyError):
            breaker.call(
                {}.__getitem__, "x", is_failure=lambda error: not isinstance(error, KeyError)
            )
    assert breaker.state == "closed"


def test_an_outcome_from_before_the_change_does_not_count(
    breaker: CircuitBreaker, clock: FakeClock
) -> None:
    """A call that began while it was closed and fails late does not open it again."""
    slow = breaker.guard()
    slow.__enter__()
    for _ in range(3):
        fail(breaker)
    clock.advance(10.0)
    breaker.call(max, 1, 2)
    assert slow.__exit__(DownError, DownError(), None) is False
    fail(breaker)
    fail(breaker)
    assert breaker.state == "closed"


def test_failures_of_many_threads_are_all_counted() -> None:
    """None is lost to another one at the same time."""
    breaker = CircuitBreaker(failure_threshold=400)
    threads = [
        threading.Thread(target=lambda: [fail(breaker) for _ in range(50)]) for _ in range(8)
    ]
    for thread in threads[:-1]:
        thread.start()
    for thread in threads[:-1]:
        thread.join()
    assert breaker.state == "closed"
    threads[-1].start()
    threads[-1].join()
    assert breaker.state == "open"


def test_changes_are_events(breaker: CircuitBreaker, clock: FakeClock) -> None:
    """Each one once, with what it was, what it is, and the failures so far."""
    heard: list[BreakerChange] = []
    with events.subscribe(heard.append, BreakerChange):
        for _ in range(3):
            fail(breaker)
        clock.advance(10.0)
        fail(breaker)
        breaker.reset()
        breaker.reset()
    assert [(one.breaker, one.before, one.after, one.failures) for one in heard] == [
        ("it", "closed", "open", 3), ("it", "half_open", "open", 4), ("it", "open", "closed", 0),
    ]  # fmt: skip


@pytest.mark.parametrize(
    "wrong",
    [
        {"failure_threshold": 0},
        {"failure_threshold": True},
        {"half_open_calls": 0},
        {"reset_timeout": -1.0},
    ],
)
def test_settings_that_cannot_be_right_are_refused_by_name(wrong: dict[str, Any]) -> None:
    """Of one breaker and of many."""
    for kind in (CircuitBreaker, CircuitBreakers):
        with pytest.raises(ValidationError, match=next(iter(wrong))):
            kind(**wrong)


def test_breakers_are_kept_by_name(clock: FakeClock) -> None:
    """Each name has one of its own, which can be looked at, closed and forgotten."""
    breakers = CircuitBreakers(failure_threshold=1, clock=clock)
    fail(breakers.get("a"))
    breakers.get("b").call(max, 1, 2)
    assert breakers.states() == {"a": "open", "b": "closed"}
    breakers.reset("a")
    assert breakers.get("a").state == "closed"
    fail(breakers.get("b"))
    breakers.reset()
    breakers.discard("b")
    breakers.discard("c")
    assert breakers.states() == {"a": "closed"}


class Model(RuleBasedStateMachine):
    """Hold a breaker against a plain account of what it should be."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()
        self.breaker = CircuitBreaker(
            failure_threshold=2, reset_timeout=10.0, half_open_calls=2, clock=self.clock
        )
        self.failures, self.opened = 0, None

    def is_open(self) -> bool:
        return self.opened is not None and self.clock.now() < self.opened + 10.0

    @rule(seconds=st.sampled_from([1.0, 5.0, 10.0]))
    def wait(self, seconds: float) -> None:
        self.clock.advance(seconds)

    @precondition(lambda self: self.is_open())
    @rule()
    def refused(self) -> None:
        with pytest.raises(CircuitOpenError):
            self.breaker.call(max, 1, 2)

    @precondition(lambda self: not self.is_open())
    @rule()
    def succeed(self) -> None:
        self.breaker.call(max, 1, 2)
        self.failures, self.opened = 0, None

    @precondition(lambda self: not self.is_open())
    @rule()
    def failing(self) -> None:
        fail(self.breaker)
        self.failures += 1
        if self.opened is not None or self.failures >= 2:
            self.opened = self.clock.now()

    @invariant()
    def states_agree(self) -> None:
        expected = "closed" if self.opened is None else "open" if self.is_open() else "half_open"
        assert self.breaker.state == expected


TestAnyOrder = Model.TestCase
TestAnyOrder.settings = settings(
    max_examples=examples(40),
    stateful_step_count=25,
)


# Under the transport


def test_without_the_setting_nothing_is_held_back(make_transport, script: Script) -> None:
    """Patience is the default."""
    script.on(CAPABILITIES, 500)
    transport = make_transport(max_retries=0)
    for _ in range(20):
        with pytest.raises(ServerError):
            transport.send(calls.read())
    assert len(script.received) == 20


@pytest.mark.parametrize("failure", [500, httpx.ReadError("reset")])
def test_calls_of_an_operation_that_keeps_failing_are_held_back(
    make_transport, script: Script, clock: FakeClock, failure: Any
) -> None:
    """Whole calls count, with all their repetitions; other operations go on."""
    script.on(CAPABILITIES, failure).on(STEP, {"request_id": "r"})
    transport = make_transport(max_retries=1, breaker_failures=2, breaker_reset=60)
    for _ in range(2):
        with pytest.raises((ServerError, TransportError)):
            transport.send(calls.read())
    assert len(script.received) == 4
    with pytest.raises(CircuitOpenError, match="get_server_capabilities"):
        transport.send(calls.read())
    assert len(script.received) == 4
    transport.send(calls.step())
    script.on(CAPABILITIES, {"supported_models": []})
    clock.advance(60)
    transport.send(calls.read())
    assert set(transport.breakers.states().values()) == {"closed"}


def test_what_the_server_refuses_is_no_failure(make_transport, script: Script) -> None:
    """A mistake in the arguments does not mean that the server is down."""
    script.on(CAPABILITIES, 400)
    transport = make_transport(breaker_failures=1)
    for _ in range(3):
        with pytest.raises(BadRequestError):
            transport.send(calls.read())
    assert len(script.received) == 3


def test_polls_and_samples_are_counted_too(make_transport, script: Script) -> None:
    """Callers with rules of their own get the error as they get others."""
    script.on(CAPABILITIES, 503)
    transport = make_transport(breaker_failures=2)
    outcomes = [transport.send_once(calls.read()) for _ in range(3)]
    assert [getattr(outcome, "status_code", None) for outcome in outcomes] == [503, 503, None]
    assert isinstance(outcomes[2], CircuitOpenError)
    assert len(script.received) == 2


def test_heartbeats_are_never_held_back(make_transport, script: Script) -> None:
    """A session must not die of a breaker."""
    script.on("POST session_heartbeat", 503)
    transport = make_transport(breaker_failures=1)
    for _ in range(3):
        transport.send_once(calls.background())
    assert len(script.received) == 3


def test_a_step_that_was_held_back_is_not_said_to_have_arrived(
    script: Script, clock: FakeClock
) -> None:
    """Its number is free, and nothing has to be found out."""
    script.on("POST create_model", {"model_id": "M"})
    script.on(STEP, 500)
    with scripted_service(
        script, clock, max_retries=0, breaker_failures=1, breaker_reset=60
    ) as service:
        training = service.create_lora_training_client("base")
        with pytest.raises(ServerError, match="not known whether"):
            training.optim_step()
        with pytest.raises(CircuitOpenError) as caught:
            training.optim_step()
        assert "not known whether" not in str(caught.value)
        clock.advance(60)
        promises(script, STEP, {"metrics": {}})
        assert training.optim_step().result().metrics == {}
    assert {body["seq_id"] for body in script.bodies("optim_step")} == {1}


def test_its_settings_are_checked() -> None:
    """By name, as all others."""
    from tinkex import Config

    for wrong in ({"breaker_failures": 0}, {"breaker_reset": -1}):
        with pytest.raises(ConfigurationError, match=next(iter(wrong))):
            Config.resolve(base_url="local", environ={}, **wrong)
