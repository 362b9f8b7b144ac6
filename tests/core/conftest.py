"""A script in place of the network, and a clock that nobody has to wait for."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from support.clock import FakeClock
from support.scripted import BASE_URL, Script

from tinkex._core.session import Session
from tinkex._core.transport import Transport
from tinkex.config import Config

MakeTransport = Callable[..., Transport]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def make_transport(script: Script, clock: FakeClock) -> Iterator[MakeTransport]:
    """Return a function that makes a transport to the script, whose waits are never drawn short."""
    made: list[Transport] = []

    def make(**settings: Any) -> Transport:
        arguments = {"jitter": lambda longest: longest, "clock": clock}
        arguments |= {name: settings.pop(name) for name in ("jitter", "budget") if name in settings}
        config = Config.resolve(environ={}, **{"base_url": BASE_URL, **settings})
        made.append(Transport(config, http_transport=httpx.MockTransport(script), **arguments))
        return made[-1]

    yield make
    for transport in made:
        transport.close()


@pytest.fixture
def transport(make_transport: MakeTransport) -> Transport:
    return make_transport()


@pytest.fixture
def session(transport: Transport) -> Iterator[Session]:
    """Begin a session, and hold that none of its threads outlives it."""
    before = set(threading.enumerate())
    session = Session(transport)
    yield session
    session.close()
    # Those that serve the whole process, or what was injected, stay.
    shared = ("tinkex-loop", "tinkex-callbacks", "tinkex-injected", "asyncio_")
    for thread in set(threading.enumerate()) - before:
        if thread.name.startswith(shared):
            continue
        thread.join(5)
        assert not thread.is_alive(), thread.name
