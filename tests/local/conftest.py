"""One running server for the tests that do not need their own."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest
from local.wire import Wire, served

from tinkex._base.clock import SYSTEM_CLOCK
from tinkex.local import LocalServer


@pytest.fixture(scope="session")
def running() -> Iterator[tuple[LocalServer, Wire]]:
    with served() as pair:
        yield pair


@pytest.fixture
def left_idle(running: tuple[LocalServer, Wire]) -> Iterator[tuple[LocalServer, Wire]]:
    """Let no work of a test run on into the next one, which may count what the engine does."""
    yield running
    engine = running[0]._app_state.engine
    until = time.monotonic() + 60
    while not all(owner.is_idle for owner in engine._owners.copy().values()):
        assert time.monotonic() < until, "wait for the work that the test began, or end its session"
        SYSTEM_CLOCK.sleep(0.002)


@pytest.fixture
def server(left_idle: tuple[LocalServer, Wire]) -> LocalServer:
    return left_idle[0]


@pytest.fixture
def wire(left_idle: tuple[LocalServer, Wire]) -> Wire:
    return left_idle[1]
