"""Servers and transports for the cases of the table, over both HTTP libraries."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from support.clock import FakeClock
from support.raw_server import RawServer
from support.scripted import Script

from tinkex._core.pyqwest_engine import PyqwestEngine
from tinkex._core.transport import Transport
from tinkex.config import Config

MakeTransport = Callable[..., Transport]
KEY = "tml-canary-0123456789"


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture
def raw() -> Iterator[RawServer]:
    server = RawServer()
    yield server
    server.close()


@pytest.fixture(params=["pyqwest", "httpx"])
def carrier(request: pytest.FixtureRequest) -> str:
    """Return which HTTP library carries the requests: the usual one, or its stand-in."""
    return str(request.param)


@pytest.fixture
def connect(
    carrier: str, clock: FakeClock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[MakeTransport]:
    """Return a function that opens a transport to a URL, with a key and a clock that jumps."""
    if carrier == "httpx":
        monkeypatch.setattr("tinkex._core.pyqwest_engine._is_forked", lambda: True)
    made: list[Transport] = []

    def connect(url: str, **settings: Any) -> Transport:
        config = Config.resolve(base_url=url, **{"environ": {}, "api_key": KEY, **settings})
        transport = Transport(config, clock=clock, jitter=lambda end: end)
        if config.verify is not False:
            assert isinstance(transport.engine, PyqwestEngine) == (carrier == "pyqwest")
        made.append(transport)
        return transport

    yield connect
    for transport in made:
        transport.close()
