"""Results that are large together: announced, fetched by turns, and never all in memory at once."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

import tinkex
from tinkex import ModelInput, SamplingParams

MEGABYTE = 1_000_000
COUNT = 12


class HugeServer(ThreadingHTTPServer):
    """Promise samples whose results are a megabyte each, announced by their size."""

    daemon_threads = False
    request_queue_size = 64

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Huge)
        self.lock = threading.Lock()
        self.promises = 0
        self.fetching = 0
        self.most_fetching = 0
        self.announced = 0
        self.all_announced = threading.Event()
        self.never = threading.Event()


class Huge(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = -1
    server: HugeServer

    def do_POST(self) -> None:
        name = self.path.rpartition("/")[2]
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        server = self.server
        if name == "asample":
            with server.lock:
                server.promises += 1
                self._send({"request_id": f"r-{server.promises}"})
        elif name == "retrieve_future" and body.get("allow_metadata_only"):
            with server.lock:
                server.announced += 1
                if server.announced >= COUNT:
                    server.all_announced.set()
            self._send(
                {
                    "status": "complete_metadata",
                    "request_id": body["request_id"],
                    "response_payload_size": MEGABYTE,
                }
            )
        elif name == "retrieve_future":
            # All want theirs before the first one is given, so that only the budget holds them back.
            server.all_announced.wait(30)
            with server.lock:
                server.fetching += 1
                server.most_fetching = max(server.most_fetching, server.fetching)
            # Long enough for any other one that may come to be here, too.
            server.never.wait(0.05)
            sequence = {"stop_reason": "stop", "tokens": [1] * (MEGABYTE // 3), "logprobs": None}
            content = {"sequences": [sequence], "type": "sample"}
            with server.lock:
                server.fetching -= 1
            self._send(content)
        else:
            answers: dict[str, Any] = {
                "create_session": {"session_id": "S"},
                "create_sampling_session": {"sampling_session_id": "P"},
            }
            self._send(answers.get(name, {}), 404 if name == "config" else 200)

    def _send(self, answer: Any, status: int = 200) -> None:
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def huge_server() -> Iterator[HugeServer]:
    with HugeServer() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server
        server.shutdown()
        thread.join()


@pytest.mark.holds("F22")
@pytest.mark.parametrize(("budget", "most"), [(2 * MEGABYTE, 3), (100, 1)])
def test_no_more_is_fetched_at_once_than_the_budget_has_room_for(budget: int, most: int) -> None:
    """Twelve megabytes come through a budget of two, and through one that no result fits into."""
    with (
        huge_server() as server,
        tinkex.ServiceClient(
            base_url=f"http://127.0.0.1:{server.server_port}", response_bytes=budget
        ) as service,
    ):
        sampler = service.create_sampling_client(base_model="base")
        params = SamplingParams(max_tokens=1)
        futures = [sampler.sample(ModelInput.from_ints([n]), 1, params) for n in range(COUNT)]
        for future in futures:
            assert len(future.result(120).sequences[0].tokens) == MEGABYTE // 3
        assert service.session.limiter.response_bytes.taken == 0
    # The one that overdraws the budget is let through, or nothing large would ever come.
    assert 1 <= server.most_fetching <= most
