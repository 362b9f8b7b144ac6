"""One embedded server for all tests of a run, started when the first of them asks."""

from __future__ import annotations

import atexit
import functools
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tinkex import ServiceClient

NANO = "tinkex/nano"


@functools.cache
def nano_url() -> str:
    """Start the server and return its URL."""
    from tinkex.local import LocalServer

    folder = tempfile.TemporaryDirectory(prefix="tinkex-tests-")
    server = LocalServer(data_dir=Path(folder.name))
    server.start()
    atexit.register(folder.cleanup)
    atexit.register(server.stop)
    return server.base_url


@pytest.fixture
def nano_service(monkeypatch: pytest.MonkeyPatch) -> Iterator[ServiceClient]:
    for name in ("TINKER_API_KEY", "TINKER_BASE_URL", "TINKER_PROJECT_ID", "TINKER_TAGS"):
        monkeypatch.delenv(name, raising=False)
    with ServiceClient(base_url=nano_url()) as service:
        yield service
