"""Ports that no other program of this machine can get in between."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import contextmanager

# Below those that systems hand out by themselves, to servers on port 0 and to every client.
LASTING = range(20_000, 32_000)


@contextmanager
def unanswered_port() -> Iterator[int]:
    """Hold a port on which every connection is refused: it is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


def lasting_port() -> int:
    """Return a free port for a server that goes away and comes back on it."""
    while True:
        port = random.SystemRandom().choice(LASTING)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        return port
