"""A bad network: a proxy on loopback that leads to one server, and does to each request what a seed says.

What it does to the n-th request of a route depends on the seed, the route and n alone.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import re
import socket
import struct
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

from attrs import frozen

FAULTS = ("lost", "late", "unanswered", "cut", "503", "502", "slow", "held", "replayed")
"""What may happen to a request.

lost: The connection ends before anything arrives.
late: The connection ends, and the request arrives when it may have been sent again.
unanswered: It arrives and has its effect; the connection is reset in place of an answer.
cut: It has its effect; the answer ends somewhere in the middle.
503, 502: It has its effect, and an answer that says otherwise.
slow: It arrives later.
held: Its answer comes later.
replayed: It is answered, and arrives once more after that.
"""

# Requests that nothing tells from their repetition; a client does not send them again.
SPARED = frozenset({"create_session", "stream_sample", "publish"})
# Parts of paths that are names and not the route: ids, and what belongs to a checkpoint's.
_NAME = re.compile(r"[^/]*[-:.%0-9][^/]*")


@frozen
class Plan:
    """Say what happens to which request.

    Attributes:
        seed: What everything is drawn from.
        share: The share of requests that something happens to.
        longest: Seconds; the longest that anything is kept back.
    """

    seed: int
    share: float = 0.2
    longest: float = 0.3

    def fault(self, route: str, number: int) -> tuple[str, random.Random]:
        """Return what happens to a request, "" for nothing, and what its details are drawn from."""
        chance = random.Random(f"{self.seed} {route} {number}")
        if route.rpartition("/")[2] in SPARED or chance.random() >= self.share:
            return "", chance
        return chance.choice(FAULTS), chance


class ChaosProxy(ThreadingHTTPServer):
    """Pass requests on to a server, badly.

    Attributes:
        plan: What happens; it may be changed while the proxy runs.
        played: How often each fault was played.
    """

    daemon_threads = True
    # A client may connect with all it has at once.
    request_queue_size = 1024

    def __init__(self, target: str, plan: Plan) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.target = (urlsplit(target).hostname, urlsplit(target).port)
        self.plan = plan
        self.played: Counter[str] = Counter()
        self._numbers: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._later: list[threading.Thread] = []
        self.closed = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def next_fault(self, method: str, path: str) -> tuple[str, random.Random]:
        route = method + " " + _NAME.sub("*", urlsplit(path).path)
        with self._lock:
            self._numbers[route] += 1
            fault, chance = self.plan.fault(route, self._numbers[route])
            if fault:
                self.played[fault] += 1
        return fault, chance

    def ask(self, method: str, path: str, headers: Any, body: bytes) -> _Answer:
        """Send a request to the server and return its whole answer."""
        connection = http.client.HTTPConnection(*self.target, timeout=60)
        with contextlib.closing(connection):
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            return _Answer(answer.status, answer.getheaders(), answer.read())

    def ask_later(self, seconds: float, *request: Any) -> None:
        """Send a request to the server in a while; no caller waits for the response."""

        def send() -> None:
            if not self.closed.wait(seconds):
                with contextlib.suppress(OSError, http.client.HTTPException):
                    self.ask(*request)

        thread = threading.Thread(target=send, daemon=True)
        thread.start()
        with self._lock:
            self._later = [other for other in self._later if other.is_alive()] + [thread]

    def settle(self) -> None:
        """Wait until everything that is still on its way has arrived."""
        for thread in list(self._later):
            thread.join(60)

    def handle_error(self, *_: object) -> None:
        """Say nothing: that clients hang up is the point."""


@frozen
class _Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def head(self) -> bytes:
        lines = [f"HTTP/1.1 {self.status} {http.client.responses.get(self.status, 'So')}"]
        lines += [f"{name}: {value}" for name, value in self.headers if name.lower() not in _HOPS]
        lines.append(f"content-length: {len(self.body)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


_HOPS = frozenset({"connection", "transfer-encoding", "content-length", "keep-alive"})


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: ChaosProxy

    def serve(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        request = (self.command, self.path, dict(self.headers.items()), body)
        fault, chance = self.server.next_fault(self.command, self.path)
        while_ = chance.uniform(0.0, self.server.plan.longest)
        if fault in ("lost", "late"):
            if fault == "late":
                self.server.ask_later(while_, *request)
            self._hang_up(reset=chance.random() < 0.5)
            return
        if fault == "slow":
            self.server.closed.wait(while_)
        try:
            answer = self.server.ask(*request)
        except (OSError, http.client.HTTPException):
            # The server died meanwhile, and so does the connection through us.
            self._hang_up(reset=True)
            return
        if fault == "held":
            self.server.closed.wait(while_)
        if fault == "unanswered":
            self._hang_up(reset=True)
            return
        if fault in ("502", "503"):
            again = [("retry-after", "0.05"), ("content-type", "text/plain")]
            answer = _Answer(int(fault), again, b"played by the network")
        whole = answer.head() + (b"" if self.command == "HEAD" else answer.body)
        if fault == "cut":
            self.wfile.write(whole[: chance.randrange(1, len(whole))])
            self._hang_up(reset=chance.random() < 0.5)
            return
        self.wfile.write(whole)
        if fault == "replayed":
            self.server.ask_later(while_, *request)

    do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = do_HEAD = serve

    def _hang_up(self, *, reset: bool) -> None:
        self.close_connection = True
        with contextlib.suppress(OSError):
            self.wfile.flush()
            if reset:
                linger = struct.pack("ii", 1, 0)
                self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                # While these are open, so is the socket, whichever closes it.
                self.rfile.close()
                self.wfile.close()
                self.connection.close()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def chaos(target: str, plan: Plan) -> Iterator[ChaosProxy]:
    """Lead to a server as long as the block runs."""
    with ChaosProxy(target, plan) as proxy:
        # Connections that are kept alive are no reason to wait.
        proxy.block_on_close = False
        thread = threading.Thread(target=proxy.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield proxy
        finally:
            proxy.closed.set()
            proxy.settle()
            proxy.shutdown()
            thread.join()
