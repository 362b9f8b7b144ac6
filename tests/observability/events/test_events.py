"""Hold the event bus to what it promises its listeners and the calls that they hear of."""

from __future__ import annotations

import logging
from typing import ClassVar

import pytest
from attrs import frozen

from tinkex.observability.events import Event, emit, has_subscribers_for, subscribe


@frozen(kw_only=True)
class Rang(Event):
    """Be an event of the tests."""

    name: ClassVar[str] = "tinkex.tests.rang"
    times: int


@frozen(kw_only=True)
class RangTwice(Rang):
    """Be a kind of the other."""

    name: ClassVar[str] = "tinkex.tests.rang_twice"


def test_a_handler_hears_the_classes_that_it_asked_for_and_their_subclasses() -> None:
    """Events of other classes pass it by."""
    heard: list[Event] = []
    with subscribe(heard.append, Rang):
        emit(Rang(times=1))
        emit(RangTwice(times=2))
        emit(Event())
    emit(Rang(times=3))
    assert heard == [Rang(times=1), RangTwice(times=2)]
    assert heard[0].fields() == {"times": 1}


def test_a_handler_that_fails_hurts_neither_the_call_nor_the_others(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The next handler is called, and a line says what went wrong."""
    heard: list[Event] = []

    def fail(event: Event) -> None:
        raise ValueError(event.name)

    with subscribe(fail), subscribe(heard.append), caplog.at_level(logging.ERROR):
        emit(Rang(times=1))
    assert heard == [Rang(times=1)]
    assert "A handler of tinkex.tests.rang failed" in caplog.text


def test_nothing_is_emitted_until_a_handler_subscribes() -> None:
    """Costly events need not be built for nobody."""
    assert not has_subscribers_for(Rang)
    with subscribe(print, Rang):
        assert has_subscribers_for(RangTwice)
        assert not has_subscribers_for(Event)
    assert not has_subscribers_for(Rang)
