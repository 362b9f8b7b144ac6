"""A server in a process of its own that holds polls: plain HTTP/1.1, or HTTP/2 over TLS.

    python held_server.py FILE_DESCRIPTOR HOLD [CERTIFICATE STREAMS]

It listens on the socket that it inherits. A poll is held for HOLD seconds; the first one of a sample
is then told to try again, the second one gets the result.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import itertools
import json
import socket
import ssl
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from attrs import define

ANSWERS: dict[str, Any] = {
    "create_session": {"session_id": "S"},
    "create_sampling_session": {"sampling_session_id": "P"},
    "session_heartbeat": {},
    "finish": {},
}
RESULT = {"sequences": [{"stop_reason": "length", "tokens": [7], "logprobs": [-0.5]}]}


class App:
    """The server's application, by the ASGI."""

    def __init__(self, hold: float) -> None:
        self._hold = hold
        self._ids = itertools.count()
        self._polls: Counter[str] = Counter()
        self._changed = asyncio.Condition()
        self.facts: Counter[str] = Counter()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            return
        body = b""
        while (part := await receive()).get("more_body"):
            body += part["body"]
        if part["type"] == "http.disconnect":
            return
        body += part["body"]
        name = scope["path"].rpartition("/")[2]
        self.facts["http/" + scope["http_version"]] += 1
        self.facts[name] += 1
        status, answer = 200, ANSWERS.get(name)
        if name == "asample":
            answer = {"request_id": f"r{next(self._ids)}"}
        elif name == "retrieve_future":
            status, answer = await self._poll(json.loads(body)["request_id"], receive)
        elif name == "facts":
            answer = await self._told(int(scope["query_string"] or 0))
        elif answer is None:
            status, answer = 404, {"detail": "Not Found"}
        headers = [(b"content-type", b"application/json")]
        await send({"type": "http.response.start", "status": status, "headers": headers})
        await send({"type": "http.response.body", "body": json.dumps(answer).encode()})

    async def _poll(self, request_id: str, receive: Any) -> tuple[int, Any]:
        self._polls[request_id] += 1
        async with self._changed:
            self.facts["held"] += 1
            self._changed.notify_all()
        # All that can come of a request whose body is read is that its sender goes away.
        gone = asyncio.ensure_future(receive())
        await asyncio.wait([gone], timeout=self._hold)
        if gone.done():
            self.facts["cut"] += 1
        gone.cancel()
        self.facts["held"] -= 1
        if self._polls[request_id] == 1:
            return 408, {"type": "try_again", "request_id": request_id, "queue_state": "active"}
        return 200, RESULT

    async def _told(self, held: int) -> Counter[str]:
        async with self._changed:
            await self._changed.wait_for(lambda: self.facts["held"] >= held)
        return self.facts


@define
class HeldServer:
    """The server, as the test sees it."""

    port: int
    bundle: Path | None

    @property
    def url(self) -> str:
        return f"https://localhost:{self.port}" if self.bundle else f"http://127.0.0.1:{self.port}"

    def facts(self, held: int = 0) -> dict[str, int]:
        """Return what happened, once so many polls are held at a time."""
        if self.bundle is None:
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=120)
        else:
            connection = http.client.HTTPSConnection(
                "localhost", self.port, timeout=120,
                context=ssl.create_default_context(cafile=self.bundle),
            )  # fmt: skip
        with contextlib.closing(connection):
            connection.request("GET", f"/facts?{held}")
            found: dict[str, int] = json.loads(connection.getresponse().read())
        return found


@contextmanager
def held_server(
    hold: float, certificate: Path | None = None, bundle: Path | None = None, streams: int = 100
) -> Iterator[HeldServer]:
    """Run the server as long as the block runs."""
    with socket.create_server(("127.0.0.1", 0), backlog=4096) as listening:
        number = listening.fileno()
        tls = [] if certificate is None else [str(certificate), str(streams)]
        process = subprocess.Popen(
            [sys.executable, __file__, str(number), str(hold), *tls], pass_fds=[number]
        )
        try:
            yield HeldServer(listening.getsockname()[1], bundle)
        finally:
            process.kill()
            process.wait()


def main(number: str, hold: str, certificate: str = "", streams: str = "100") -> None:
    from hypercorn.asyncio import serve
    from hypercorn.config import Config

    config = Config()
    config.bind = [f"fd://{number}"]
    config.loglevel = "ERROR"
    config.backlog = 4096
    config.keep_alive_timeout = 600
    config.keep_alive_max_requests = 1_000_000
    config.h2_max_concurrent_streams = int(streams)
    if certificate:
        config.certfile = config.keyfile = certificate
    asyncio.run(serve(App(float(hold)), config))  # type: ignore[arg-type]


if __name__ == "__main__":
    main(*sys.argv[1:])
