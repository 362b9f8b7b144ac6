"""What the tests of recovery train on."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from support.nano import nano_service

from tinkex import ServiceClient
from tinkex.local import LocalServer

__all__ = ["nano_service"]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LocalServer]:
    """A server of the test's own, with its data in `tmp_path`."""
    with LocalServer(data_dir=tmp_path / "data") as server:
        yield server


@pytest.fixture
def service(server: LocalServer) -> Iterator[ServiceClient]:
    with ServiceClient(base_url=server.base_url, timeout=20) as service:
        yield service
