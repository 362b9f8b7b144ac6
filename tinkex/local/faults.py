"""Faults, played on the real connection: what `tinkex.testing` describes."""

import asyncio
import re
from collections.abc import Mapping

import orjson
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tinkex.local.connections import Connections
from tinkex.local.spec import Operation
from tinkex.testing.faults import ANY_OPERATION, Fault, FaultPlan


class FaultGate:
    """Middleware that injects the faults and the latency of a plan."""

    def __init__(
        self,
        app: ASGIApp,
        plan: FaultPlan,
        connections: Connections,
        operations: Mapping[str, Operation],
        latency_s: float = 0.0,
    ) -> None:
        self._app = app
        self._plan = plan
        self._connections = connections
        self._latency_s = latency_s
        self._patterns = [
            (operation.method, _pattern(operation.path), operation.operation_id)
            # A path with a fixed part comes before one that takes anything there.
            for operation in sorted(operations.values(), key=lambda one: one.path.count("{"))
        ]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request, well or badly."""
        if scope["type"] != "http" or not (self._latency_s or len(self._plan)):
            await self._app(scope, receive, send)
            return
        method, path = scope["method"], scope["path"]
        fault = self._plan.take(self._operation(method, path), method, path)
        latency = self._latency_s + (0.0 if fault is None else fault.latency)
        if latency:
            await asyncio.sleep(latency)
        if fault is None:
            await self._app(scope, receive, send)
        else:
            await self._play(fault, scope, receive, send)

    def _operation(self, method: str, path: str) -> str:
        for known, pattern, operation_id in self._patterns:
            if known == method and pattern.fullmatch(path):
                return operation_id
        return ""

    async def _play(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        if fault.cut_after is not None:
            await self._cut(fault, scope, receive, send)
            return
        response: list[Message] = []
        body = await _whole(receive)
        for _ in range(2 if fault.duplicate else 1 if fault.takes_effect else 0):
            response = await self._ask(scope, body)
        if fault.hold:
            await asyncio.sleep(fault.hold)
        if fault.reset:
            self._connections.reset(scope)
            await _until_closed(receive)
            return
        if fault.status is not None:
            response = _made_up(fault)
        elif fault.truncate is not None:
            response = _truncated(response, fault.truncate)
        for message in response:
            await send(message)

    async def _ask(self, scope: Scope, body: bytes) -> list[Message]:
        """Pass the request to the server, and return its response."""
        given = False

        async def receive() -> Message:
            nonlocal given
            if not given:
                given = True
                return {"type": "http.request", "body": body, "more_body": False}
            return await asyncio.Future()

        response: list[Message] = []

        async def keep(message: Message) -> None:
            response.append(message)

        await self._app(dict(scope), receive, keep)
        return response

    async def _cut(self, fault: Fault, scope: Scope, receive: Receive, send: Send) -> None:
        left = fault.cut_after or 0
        cut = False

        async def some(message: Message) -> None:
            nonlocal left, cut
            if cut:
                return
            if message["type"] == "http.response.start" and fault.hold:
                await asyncio.sleep(fault.hold)
            body = message.get("body", b"")
            if len(body) > left:
                await send({**message, "body": body[:left], "more_body": True})
                self._connections.close(scope)
                cut = True
                return
            left -= len(body)
            await send(message)

        await self._app(scope, receive, some)
        if cut:
            await _until_closed(receive)


async def _whole(receive: Receive) -> bytes:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message["type"] == "http.request" and message.get("more_body", False)
    return body


async def _until_closed(receive: Receive) -> None:
    """Wait until uvicorn knows that the connection is gone: it then needs no response."""
    while (await receive())["type"] != "http.disconnect":
        continue


def _made_up(fault: Fault) -> list[Message]:
    headers = {name.lower(): value for name, value in fault.headers.items()}
    if isinstance(fault.body, str):
        body = fault.body.encode()
        headers.setdefault("content-type", "text/plain; charset=utf-8")
    else:
        content = {"detail": "a fault of tinkex.testing"} if fault.body is None else fault.body
        body = orjson.dumps(content)
        headers.setdefault("content-type", "application/json")
    if fault.status in (204, 304):
        body = b""
    else:
        headers.setdefault("content-length", str(len(body)))
    return [
        {
            "type": "http.response.start",
            "status": fault.status,
            "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
        },
        {"type": "http.response.body", "body": body},
    ]


def _truncated(response: list[Message], length: int) -> list[Message]:
    body = b"".join(message.get("body", b"") for message in response[1:])[:length]
    start = dict(response[0])
    kept = [(name, value) for name, value in start["headers"] if name != b"content-length"]
    start["headers"] = [*kept, (b"content-length", str(len(body)).encode())]
    return [start, {"type": "http.response.body", "body": body}]


def _pattern(path: str) -> re.Pattern[str]:
    return re.compile(re.sub(r"\{[^}]+\}", "[^/]+", path))


def check_operations(plan: FaultPlan, operations: Mapping[str, Operation]) -> None:
    """Raise a ValueError for a fault on an operation that the spec does not have."""
    for fault in plan:
        if fault.on != ANY_OPERATION and fault.on not in operations:
            known = ", ".join(sorted(operations))
            raise ValueError(f"on: there is no operation {fault.on!r}; there are: {known}")
