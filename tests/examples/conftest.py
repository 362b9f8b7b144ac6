"""One local server that the examples of all tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tinkex.local import LocalServer


@pytest.fixture(scope="session")
def shared_server() -> Iterator[LocalServer]:
    """Serve the shipped models; a test must not count on what others left here."""
    with LocalServer() as server:
        yield server
