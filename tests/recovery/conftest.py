"""What the tests of recovery train on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.nano import nano_service
from support.ports import lasting_port

from tinkex import ServiceClient
from tinkex.local import LocalServer

__all__ = ["nano_service"]


@pytest.fixture(scope="session")
def shared_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    with LocalServer(data_dir=tmp_path_factory.mktemp("recovery")) as server:
        yield server


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    """A server of the test's own, which it may break and restart."""
    with LocalServer(data_dir=tmp_path / "data", port=lasting_port()) as server:
        yield server


@pytest.fixture
def data(request: pytest.FixtureRequest) -> Path:
    """The folder of the server in use: the test's own if it asks for one, else the shared one."""
    own = "server" in request.fixturenames
    server: LocalServer = request.getfixturevalue("server" if own else "shared_server")
    return server.data_dir


@pytest.fixture
def service(request: pytest.FixtureRequest) -> Iterator[ServiceClient]:
    own = "server" in request.fixturenames
    server: LocalServer = request.getfixturevalue("server" if own else "shared_server")
    with ServiceClient(base_url=server.base_url, timeout=20) as service:
        yield service
