"""A server that answers by script, for what a real one cannot be made to say."""

from __future__ import annotations

import copy
import itertools
import json
import threading
from contextlib import contextmanager
from typing import Any

import httpx
from attrs import frozen
from support.clock import FakeClock

from tinkex import Config, ServiceClient
from tinkex._core.transport import Transport

BASE_URL = "http://127.0.0.1:9/prefix"
# Clients of one server share its limits, so each scripted server has an address of its own.
_ports = itertools.count(1)


@frozen
class Received:
    """One request as it came over the wire."""

    route: str
    url: str
    headers: httpx.Headers
    content: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.content)


Answer = Any


class Script:
    """Answer each route by its list of answers, the last one again and again.

    An answer is a JSON body, a status, (status, body) or (status, body, headers), an exception to
    raise, or a function of the request that returns one of these.
    """

    def __init__(self) -> None:
        self.base_url = f"http://127.0.0.1:{next(_ports)}/prefix"
        self._answers: dict[str, list[Answer]] = {}
        self._lock = threading.Lock()
        self.received: list[Received] = []
        self.results: dict[str, Answer] = {}
        self.on("POST create_session", {"session_id": "S", "type": "create_session"})
        self.on("POST session_heartbeat", {"type": "session_heartbeat"})
        self.on("POST sessions/S/finish", {})

    def on(self, route: str, *answers: Answer) -> Script:
        """Say how a route such as "POST asample" is answered."""
        method, path = route.split(" ")
        self._answers[f"{method} /prefix/api/v1/{path}"] = list(answers)
        return self

    def sent(self, path: str) -> list[Received]:
        """Return the requests to a route, whatever the method."""
        return [got for got in self.received if got.route.endswith(f" /prefix/api/v1/{path}")]

    def bodies(self, path: str) -> list[Any]:
        return [got.json for got in self.sent(path)]

    def paths(self) -> list[str]:
        """Return the routes that were called, without those of the session itself."""
        routes = [got.route.replace("/prefix/api/v1/", "") for got in self.received]
        quiet = {
            "POST client/config",
            "POST create_session",
            "POST session_heartbeat",
            "POST sessions/S/finish",
        }
        return [route for route in routes if route not in quiet]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        route = f"{request.method} {request.url.raw_path.decode().partition('?')[0]}"
        with self._lock:
            # As it goes on the wire; the request itself does not show its query.
            url = str(request.url.copy_with())
            self.received.append(Received(route, url, request.headers, request.read()))
            answers = self._answers.get(route)
            if answers is None:
                return httpx.Response(501, json={"detail": f"no script for {route}"})
            answer = answers.pop(0) if len(answers) > 1 else answers[0]
        return _response(answer, request)


def _response(answer: Answer, request: httpx.Request) -> httpx.Response:
    if callable(answer):
        answer = answer(request)
    if isinstance(answer, Exception):
        # A network's errors are new each time, and what sent the request takes them apart.
        fresh = copy.copy(answer)
        fresh.__cause__ = answer.__cause__
        raise fresh
    if isinstance(answer, httpx.Response):
        return answer
    if isinstance(answer, int):
        return httpx.Response(answer)
    if isinstance(answer, tuple):
        status, body, *headers = answer
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        return httpx.Response(status, content=content, headers=headers[0] if headers else None)
    return httpx.Response(200, json=answer)


@contextmanager
def scripted_service(script: Script, clock: FakeClock | None = None, **settings: Any):
    """Yield a ServiceClient whose every request goes to the script."""
    settings.setdefault("base_url", script.base_url)
    on_queue_state = settings.pop("on_queue_state", None)
    config = Config.resolve(environ={}, **settings)
    transport = Transport(
        config,
        clock=clock or FakeClock(),
        http_transport=httpx.MockTransport(script),
        jitter=lambda longest: longest,
    )
    with ServiceClient(
        config=config, transport=transport, on_queue_state=on_queue_state
    ) as service:
        yield service


def promises(script: Script, route: str, *results: Answer) -> None:
    """Answer a route by promises r0, r1, …, and their polls by the results in order."""
    name = route.split(" ")[1]
    made: list[str] = []

    def promise(request: httpx.Request) -> Answer:
        made.append(f"{name}-{len(made)}")
        return {"request_id": made[-1]}

    script.on(route, promise)
    for number, result in enumerate(results):
        script.results[f"{name}-{number}"] = result

    def poll(request: httpx.Request) -> Answer:
        return script.results[json.loads(request.content)["request_id"]]

    script.on("POST retrieve_future", poll)
