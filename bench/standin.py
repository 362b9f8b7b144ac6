"""A server that responds at once with ready-made payloads, in JSON or protobuf by `Accept`.

    python bench/standin.py          # prints the port it listens on, and serves until its input ends

It measures clients, so it does as little as an honest server can: HTTP/1.1 with keep-alive over
asyncio, no validation, results that are ready at once, unless a duration is set. What it sends depends on
what it was sent (`payload.py`), so that a client which mixes up requests is found out.

`POST /bench/latency` with a number sets the seconds that pass before each response; `POST /bench/takes`
with three numbers how long a sample takes at least and at most, and how long a poll is held; `GET /bench/stats`
returns what was served and the server's own CPU time; `GET /bench/received` what the numbers in the
last forward_backward requests added up to.
"""

from __future__ import annotations

import asyncio
import gc
import itertools
import json
import random
import re
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import payload

API = b"/api/v1/"
PROTOBUF = "application/x-protobuf"
JSON = "application/json"
FIRST_TOKEN = re.compile(rb'"tokens"\s*:\s*\[\s*(\d+)')
REQUEST_ID = re.compile(rb'"request_id"\s*:\s*"([^"]+)"')
SAMPLES = re.compile(rb'"num_samples"\s*:\s*(\d+)')

Answer = tuple[int, str, bytes]


def answer(value: Any, status: int = 200) -> Answer:
    """Return a JSON response."""
    return status, JSON, json.dumps(value, separators=(",", ":")).encode()


class Service:
    """The routes, and the pending results."""

    def __init__(self) -> None:
        self.latency = 0.0
        self._takes = (0.0, 0.0, 0.0)
        self._ready_at: dict[bytes, float] = {}
        self._numbers = itertools.count()
        self._results: dict[bytes, Callable[[bool], Answer]] = {}
        self._received: list[tuple[bool, bytes]] = []
        self._served: dict[str, int] = {}
        self._routes: dict[bytes, Callable[[bytes, bool], Answer]] = {
            b"asample": self._sample,
            b"retrieve_future": self._retrieve,
            b"forward_backward": self._forward_backward,
            b"optim_step": lambda body, _: self._promise(answer({"metrics": {}})),
            b"create_model": lambda body, _: self._promise(
                answer({"model_id": "model-0", "type": "create_model"})
            ),
            b"create_session": _fixed({"type": "create_session", "session_id": "session-0"}),
            b"create_sampling_session": _fixed(
                {"type": "create_sampling_session", "sampling_session_id": "sampler-0"}
            ),
            b"session_heartbeat": _fixed({"type": "session_heartbeat"}),
            b"telemetry": _fixed({"status": "accepted"}),
            b"client/config": _fixed({"pjwt_auth_enabled": False}),
            b"healthz": _fixed({"status": "ok"}),
            b"get_server_capabilities": _fixed({"supported_models": [{"model_name": "bench"}]}),
            b"sessions/session-0/finish": _fixed({}),
            b"get_info": _fixed(
                {
                    "type": "get_info",
                    "model_id": "model-0",
                    "model_data": {"arch": "none", "model_name": "bench"},
                    "is_lora": True,
                    "lora_rank": 8,
                }
            ),
        }

    def respond(self, path: bytes, headers: bytes, body: bytes) -> Answer:
        """Answer one request."""
        if path.startswith(b"/bench/"):
            return self._control(path[7:], body)
        route = path.removeprefix(API)
        handler = self._routes.get(route)
        name = route.decode()
        self._served[name] = self._served.get(name, 0) + 1
        if handler is None:
            return answer({"detail": f"no route {name}"}, 404)
        # For a request the form of its body, for a poll the accepted form of the response.
        field = b"content-type" if route == b"forward_backward" else b"accept"
        return handler(body, b"application/x-protobuf" in _header(headers, field))

    def _promise(self, result: Answer | Callable[[bool], Answer], **more: Any) -> Answer:
        request_id = b"request-%d" % next(self._numbers)
        self._results[request_id] = result if callable(result) else lambda _: result
        return answer({"request_id": request_id.decode(), **more})

    def held_for(self, path: bytes, body: bytes) -> float:
        """Return the seconds for which a request is held before it is looked at."""
        if self._takes[2] and path == API + b"retrieve_future":
            found = REQUEST_ID.search(body)
            ready_at = self._ready_at.get(found[1], 0.0) if found else 0.0
            return max(0.0, min(ready_at - time.monotonic(), self._takes[2]))
        return self.latency

    def _retrieve(self, body: bytes, is_protobuf: bool) -> Answer:
        found = REQUEST_ID.search(body)
        if found and self._ready_at.get(found[1], 0.0) > time.monotonic():
            name = found[1].decode()
            pending = {"type": "try_again", "request_id": name, "queue_state": "active"}
            return answer(pending, 408)
        if found:
            self._ready_at.pop(found[1], None)
        result = self._results.pop(found[1], None) if found else None
        return answer({"detail": "no such request"}, 404) if result is None else result(is_protobuf)

    def _sample(self, body: bytes, _: bool) -> Answer:
        found, asked = FIRST_TOKEN.search(body), SAMPLES.search(body)
        if found is None:
            return answer({"detail": "no prompt"}, 422)
        key = int(found[1])

        def result(is_protobuf: bool) -> Answer:
            if is_protobuf:
                return 200, PROTOBUF, payload.sample_protobuf(key)
            return 200, JSON, payload.sample_json(key)

        ids = [f"{key}-{i}" for i in range(int(asked[1]) if asked else 1)]
        promise = self._promise(result, sample_sequence_ids=ids)
        least, most, hold = self._takes
        if hold:
            # The same for both clients.
            seconds = random.Random(key).uniform(least, most)
            found = REQUEST_ID.search(promise[2])
            assert found
            self._ready_at[found[1]] = time.monotonic() + seconds
        return promise

    def _forward_backward(self, body: bytes, is_protobuf: bool) -> Answer:
        self._received.append((is_protobuf, body))
        del self._received[:-8]
        if is_protobuf:
            datums = [first_token_of(datum) for datum in messages(body, 3)]
            keys, lengths = [key for key, _ in datums], {length for _, length in datums}
            length = max(lengths, default=0)
        else:
            keys = [int(token) for token in FIRST_TOKEN.findall(body)]
            shape = re.search(rb'"shape"\s*:\s*\[\s*(\d+)', body)
            length = int(shape[1]) if shape else 0

        def result(is_protobuf: bool) -> Answer:
            if is_protobuf:
                return 200, PROTOBUF, payload.forward_backward_protobuf(keys, length)
            return 200, JSON, payload.forward_backward_json(keys, length)

        return self._promise(result)

    def _control(self, command: bytes, body: bytes) -> Answer:
        if command == b"latency":
            self.latency = float(body)
            return answer({})
        if command == b"takes":
            least, most, hold = map(float, body.split())
            self._takes = (least, most, hold)
            return answer({})
        if command == b"received":
            received, self._received = self._received, []
            return answer([sums(*request) for request in received])
        if command == b"stats":
            served, self._served = self._served, {}
            self._results.clear()
            gc.collect()
            return answer({"cpu": time.process_time(), "requests": served})
        return answer({}, 404)


def _fixed(value: Any) -> Callable[[bytes, bool], Answer]:
    made = answer(value)
    return lambda body, is_protobuf: made


def _header(headers: bytes, name: bytes) -> bytes:
    at = headers.find(b"\r\n%s:" % name)
    return b"" if at < 0 else headers[at + len(name) + 3 : headers.find(b"\r\n", at + 2)]


def messages(body: bytes, wanted: int) -> Iterator[bytes]:
    """Yield the length-delimited values of one field of a protobuf message."""
    at = 0
    while at < len(body):
        tag, at = payload.read_varint(body, at)
        kind = tag & 7
        if kind == 2:
            size, at = payload.read_varint(body, at)
            if tag >> 3 == wanted:
                yield body[at : at + size]
            at += size
        elif kind == 0:
            _, at = payload.read_varint(body, at)
        else:
            at += 8 if kind == 1 else 4


def first_token_of(datum: bytes) -> tuple[int, int]:
    """Return the first token of a Datum and the number of tokens of its first chunk."""
    tokens = next(messages(next(messages(next(messages(datum, 1)), 1)), 1))
    return struct.unpack_from("<i", tokens)[0], len(tokens) // 4


def sums(is_protobuf: bool, body: bytes) -> dict[str, float]:
    """Add up what a forward_backward request carries, by name."""
    totals: dict[str, float] = {}

    def add(name: str, values: Any) -> None:
        totals[name] = totals.get(name, 0.0) + sum(values)

    if not is_protobuf:
        request = json.loads(body)
        for datum in request["forward_backward_input"]["data"]:
            for chunk in datum["model_input"]["chunks"]:
                add("tokens", chunk["tokens"])
            for name, tensor in datum["loss_fn_inputs"].items():
                add(name, tensor["data"])
        return totals
    for datum in messages(body, 3):
        for chunk in messages(datum, 1):
            for text in messages(chunk, 1):
                tokens = next(messages(text, 1))
                add("tokens", struct.unpack(f"<{len(tokens) // 4}i", tokens))
        for entry in messages(datum, 2):
            name, tensor = next(messages(entry, 1)).decode(), next(messages(entry, 2))
            dense = next(messages(tensor, 1))
            code, width = ("q", 8) if name == "target_tokens" else ("f", 4)
            add(name, struct.unpack(f"<{len(dense) // width}{code}", dense))
    return totals


class Connection(asyncio.Protocol):
    """Speak HTTP/1.1 on one connection."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._transport: asyncio.Transport
        self._head: bytes | None = None
        self._parts: list[bytes] = []
        self._have = 0
        self._need = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Answer without Nagle's delay."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.get_extra_info("socket").setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        """Collect a request; respond when it is complete."""
        self._parts.append(data)
        self._have += len(data)
        while self._have:
            if self._head is None and not self._read_head():
                return
            if self._have < self._need:
                return
            rest = b"".join(self._parts)
            body, rest = rest[: self._need], rest[self._need :]
            self._parts, self._have = [rest] if rest else [], len(rest)
            head, self._head = self._head or b"", None
            self._answer(head, body)

    def _read_head(self) -> bool:
        data = b"".join(self._parts)
        end = data.find(b"\r\n\r\n")
        if end < 0:
            self._parts = [data]
            return False
        request, separator, headers = data[:end].partition(b"\r\n")
        lowered = separator + headers.lower() + b"\r\n"
        if b"\r\ntransfer-encoding:" in lowered:
            raise NotImplementedError("the stand-in reads bodies of a known length only")
        self._head = request + lowered
        self._need = int(_header(lowered, b"content-length") or 0)
        rest = data[end + 4 :]
        self._parts, self._have = [rest] if rest else [], len(rest)
        if not rest and not self._need:
            head, self._head = self._head, None
            self._answer(head, b"")
            return False
        return True

    def _answer(self, head: bytes, body: bytes) -> None:
        request, _, headers = head.partition(b"\r\n")
        path = request.split(b" ")[1]
        is_control = path.startswith(b"/bench/")
        held = 0.0 if is_control else self._service.held_for(path, body)
        if held:
            respond = asyncio.get_running_loop().call_later
            respond(held, self._respond, path, b"\r\n" + headers, body)
        else:
            self._respond(path, b"\r\n" + headers, body)

    def _respond(self, path: bytes, headers: bytes, body: bytes) -> None:
        status, kind, content = self._service.respond(path, headers, body)
        reason = {200: "OK", 404: "Not Found", 408: "Request Timeout"}.get(status, "Error")
        response = (
            f"HTTP/1.1 {status} {reason}\r\ncontent-type: {kind}\r\n"
            f"content-length: {len(content)}\r\n\r\n"
        ).encode() + content
        self._transport.write(response)


async def serve() -> None:
    """Serve on a free loopback port until standard input ends."""
    service = Service()
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: Connection(service), "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await loop.run_in_executor(None, sys.stdin.read)
    server.close()


if __name__ == "__main__":
    gc.freeze()
    asyncio.run(serve())
