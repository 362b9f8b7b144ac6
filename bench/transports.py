"""Measure what one sample's two exchanges cost over different HTTP stacks, on the stand-in server.

    python bench/transports.py          # in a venv with httpx and orjson; urllib3 if it is there

Not a comparison of clients but of what a client can stand on: the same two requests, submit and poll,
with the headers that tinkex sends. `one thread for all` has 2,000 samples in flight on 256 sockets.
"""

from __future__ import annotations

import collections
import http.client
import resource
import selectors
import socket
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

import httpcore
import httpx
import orjson
from client import ask, standin

SUBMIT, POLL = "/api/v1/asample", "/api/v1/retrieve_future"
HEADERS = {
    "Accept": "application/json",
    "Content-Type": "application/json",
    "User-Agent": "Tinkex/Python",
    **{f"X-Stainless-{name}": "x" for name in ("OS", "Arch", "Runtime", "Async", "Lang")},
    "X-API-Key": "tml-bench",
    "X-Idempotency-Key": "0" * 32,
    "x-stainless-read-timeout": "60.000",
    "x-stainless-retry-count": "0",
}
ROUNDS, SAMPLES, IN_FLIGHT, SOCKETS = 3, 500, 2000, 256
Post = Callable[[str, bytes], bytes]


def submission(key: int) -> bytes:
    """Return the body that asks for a sample."""
    tokens = [key, *range(1001, 1128)]
    return orjson.dumps({"prompt": {"chunks": [{"tokens": tokens}]}, "num_samples": 1})


def poll(promise: bytes) -> bytes:
    """Return the body that asks for the result of a promise."""
    return orjson.dumps({"request_id": orjson.loads(promise)["request_id"]})


def cpu() -> float:
    """Return the CPU seconds of this process."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def report(name: str, work: Callable[[], int]) -> None:
    """Print the least CPU and wall time per sample over a few rounds."""
    work()
    best = (float("inf"), float("inf"))
    for _ in range(ROUNDS):
        used, began = cpu(), time.perf_counter()
        count = work()
        taken = ((cpu() - used) / count, (time.perf_counter() - began) / count)
        best = min(best[0], taken[0]), min(best[1], taken[1])
    print(f"| {name} | {best[0] * 1e3:.3f} | {best[1] * 1e3:.3f} |", flush=True)


def in_turn(post: Post) -> Callable[[], int]:
    """Return the work of sampling in turn."""

    def work() -> int:
        for key in range(SAMPLES):
            result = orjson.loads(post(POLL, poll(post(SUBMIT, submission(key)))))
            assert result["type"] == "sample"
        return SAMPLES

    return work


def posts(url: str) -> dict[str, Post]:
    """Return how each stack sends one request and returns the body of the answer."""
    address = urlsplit(url)
    assert address.hostname
    client = httpx.Client(headers=HEADERS)
    transport = httpx.HTTPTransport()
    pool = httpcore.ConnectionPool()
    raw = [(name.encode(), value.encode()) for name, value in HEADERS.items()]
    plain = http.client.HTTPConnection(address.hostname, address.port)
    direct = Socket(address.hostname, address.port or 80)

    def by_transport(path: str, body: bytes) -> bytes:
        request = httpx.Request("POST", url + path, headers=HEADERS, content=body)
        return transport.handle_request(request).read()

    def by_core(path: str, body: bytes) -> bytes:
        length = (b"Content-Length", str(len(body)).encode())
        host = (b"Host", address.netloc.encode())
        return pool.request("POST", url + path, headers=[host, *raw, length], content=body).content

    def by_standard_library(path: str, body: bytes) -> bytes:
        plain.request("POST", path, body, HEADERS)
        return plain.getresponse().read()

    stacks: dict[str, Post] = {
        "httpx.Client": lambda path, body: client.post(url + path, content=body).content,
        "httpx.HTTPTransport alone": by_transport,
        "httpcore": by_core,
        "http.client": by_standard_library,
        "a socket and a small parser": direct.post,
    }
    try:
        import urllib3
    except ImportError:
        return stacks
    manager = urllib3.PoolManager()
    stacks["urllib3"] = lambda path, body: (
        manager.request("POST", url + path, body=body, headers=HEADERS, retries=False).data
    )
    return stacks


class Socket:
    """Speak as much HTTP/1.1 as the stand-in does."""

    def __init__(self, host: str, port: int) -> None:
        self.socket = socket.create_connection((host, port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        fixed = {"Host": f"{host}:{port}", **HEADERS}
        self._fixed = "".join(f"{name}: {value}\r\n" for name, value in fixed.items())
        self._data = b""
        self.taken: Callable[[bytes], None] = bytes

    def send(self, path: str, body: bytes) -> None:
        """Send a request."""
        head = f"POST {path} HTTP/1.1\r\n{self._fixed}Content-Length: {len(body)}\r\n\r\n"
        self.socket.sendall(head.encode() + body)

    def receive(self) -> bytes | None:
        """Take what has come; return the body when it is whole."""
        self._data += self.socket.recv(65536)
        end = self._data.find(b"\r\n\r\n")
        head = self._data[:end].lower() + b"\r\n"
        at = head.find(b"content-length:")
        if end < 0 or len(self._data) < end + 4 + int(head[at + 15 : head.find(b"\r\n", at)]):
            return None
        body, self._data = self._data[end + 4 :], b""
        return body

    def post(self, path: str, body: bytes) -> bytes:
        """Send a request and wait for the answer."""
        self.send(path, body)
        while (answer := self.receive()) is None:
            pass
        return answer


def one_thread_for_all(url: str) -> Callable[[], int]:
    """Return the work of having all samples in flight over a selector and some sockets."""
    address = urlsplit(url)
    sockets = [Socket(address.hostname or "", address.port or 80) for _ in range(SOCKETS)]
    selector = selectors.DefaultSelector()
    for each in sockets:
        selector.register(each.socket, selectors.EVENT_READ, each)

    def work() -> int:
        waiting = collections.deque((SUBMIT, submission(key)) for key in range(IN_FLIGHT))
        results: list[Any] = []
        free = list(sockets)
        while len(results) < IN_FLIGHT:
            while waiting and free:
                each = free.pop()
                path, body = waiting.popleft()
                each.taken = (
                    (lambda answer: waiting.append((POLL, poll(answer))))
                    if path == SUBMIT
                    else (lambda answer: results.append(orjson.loads(answer)))
                )
                each.send(path, body)
            for key, _ in selector.select():
                answer = key.data.receive()
                if answer is not None:
                    key.data.taken(answer)
                    free.append(key.data)
        assert all(result["type"] == "sample" for result in results)
        return IN_FLIGHT

    return work


def main() -> None:
    """Measure each stack and print a table."""
    with standin() as url:
        print("| stack | CPU ms per sample | wall ms per sample |\n|---|---:|---:|")
        for name, post in posts(url).items():
            report(name, in_turn(post))
        many = one_thread_for_all(url)
        for latency in (0.0, 0.08):
            ask(url, "/bench/latency", str(latency).encode())
            report(f"one thread for all, {latency * 1e3:.0f} ms latency", many)


if __name__ == "__main__":
    main()
