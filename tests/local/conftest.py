"""One running server for the tests that do not need their own."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from local.wire import Wire, served

from tinkex.local import LocalServer


@pytest.fixture(scope="session")
def running() -> Iterator[tuple[LocalServer, Wire]]:
    with served() as pair:
        yield pair


@pytest.fixture
def server(running: tuple[LocalServer, Wire]) -> LocalServer:
    return running[0]


@pytest.fixture
def wire(running: tuple[LocalServer, Wire]) -> Wire:
    return running[1]
