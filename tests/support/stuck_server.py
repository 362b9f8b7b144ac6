"""A server that answers a session's requests, and can be told to hold some of them for ever."""

from __future__ import annotations

import contextlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

_ANSWERS: dict[str, Any] = {
    "create_session": {"session_id": "S"},
    "create_model": {"model_id": "M"},
    "create_sampling_session": {"sampling_session_id": "P"},
    "asample": {"request_id": "r"},
    "optim_step": {"request_id": "r"},
    "retrieve_future": {"metrics": {}},
    "session_heartbeat": {},
    "finish": {},
}


class StuckServer(ThreadingHTTPServer):
    """Hold the first `holds[name]` requests to a route until the server ends.

    Attributes:
        holds: How many requests to each route are held.
        busy: The routes whose requests are to be sent again in a minute.
        received: The route and body of each request, in the order of their coming.
    """

    daemon_threads = True
    block_on_close = False

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.holds: dict[str, int] = {}
        self.busy: set[str] = set()
        self.received: list[tuple[str, Any]] = []
        self.ended = threading.Event()
        self.changed = threading.Condition()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def bodies(self, name: str) -> list[Any]:
        return [body for route, body in self.received if route == name]

    def wait_for(self, name: str, count: int = 1) -> None:
        """Wait until so many requests to a route have come."""
        with self.changed:
            came = self.changed.wait_for(lambda: len(self.bodies(name)) >= count, 60)
        assert came, f"{name} was asked {len(self.bodies(name))} times, not {count}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: StuckServer

    def do_GET(self) -> None:
        name = self.path.partition("?")[0].rpartition("/")[2]
        body = json.loads(self.rfile.read(int(self.headers.get("content-length", 0))) or "null")
        with self.server.changed:
            self.server.received.append((name, body))
            held = len(self.server.bodies(name)) <= self.server.holds.get(name, 0)
            self.server.changed.notify_all()
        if held:
            self.server.ended.wait(120)
            self.close_connection = True
            return
        content = json.dumps(_ANSWERS.get(name)).encode()
        with contextlib.suppress(OSError):
            busy = name in self.server.busy
            self.send_response(503 if busy else 200 if name in _ANSWERS else 404)
            if busy:
                self.send_header("retry-after", "60")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    do_POST = do_GET

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def stuck_server(**holds: int) -> Iterator[StuckServer]:
    """Serve as long as the block runs; what is held then is let go."""
    with StuckServer() as server:
        server.holds = holds
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield server
        finally:
            server.ended.set()
            server.shutdown()
            thread.join()
