"""What every request passes before it is looked at: host, origin, key, size, request id."""

import logging
import re
import time
import uuid
from collections.abc import Iterable
from typing import Any
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tinkex.local.app import problem_response
from tinkex.local.keys import KeyRing
from tinkex.local.problem import Problem

logger = logging.getLogger("tinkex.local.gate")

_OPEN = re.compile(
    r"/api/v1/healthz"
    r"|/api/v1/training_runs/[^/]+/checkpoints/[^/]+/[^/]+/(download|files/[^/]+)"
    r"|/api/v1/sessions/[^/]+/trace_export/download"
)

LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Gate:
    """Refuse what should not come in, and number what does.

    A page in a browser can make requests to this machine: by a name that it lets point here (DNS
    rebinding), or across origins. So the Host header must name the loopback interface, unless the
    server was opened to other hosts on purpose, and an Origin must be local as well.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: KeyRing,
        max_body_bytes: int,
        host_names: Iterable[str] | None,
    ) -> None:
        self._app = app
        self._keys = keys
        self._max_body_bytes = max_body_bytes
        self._host_names = None if host_names is None else frozenset(host_names)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = uuid.uuid4().hex
        started = time.perf_counter()
        status = 0

        async def numbered(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [
                    *message["headers"],
                    (b"x-request-id", request_id.encode()),
                ]
            await send(message)

        try:
            self._check(scope, Headers(scope=scope))
            await self._app(scope, self._limited(receive), numbered)
        except Problem as problem:
            if status == 0:
                refused = problem_response(problem.status, problem.detail, problem.headers)
                await refused(scope, receive, numbered)
        finally:
            if logger.isEnabledFor(logging.DEBUG):
                took_ms = (time.perf_counter() - started) * 1e3
                logger.debug(
                    "%s %s -> %d in %.1f ms (%s)",
                    scope["method"],
                    scope["path"],
                    status,
                    took_ms,
                    request_id,
                )

    def _check(self, scope: Scope, headers: Headers) -> None:
        if self._host_names is not None:
            host = _host_name(f"//{headers.get('host', '')}")
            if host not in self._host_names:
                raise Problem(403, f"host {host!r} is not a name of this server")
            origin = headers.get("origin")
            if origin is not None and _host_name(origin) not in self._host_names:
                raise Problem(403, f"requests from {origin!r} are not answered")
        if not _is_open(scope):
            self._keys.check(headers.get("x-api-key") or _bearer(headers))
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self._max_body_bytes:
            raise self._too_large()

    def _limited(self, receive: Receive) -> Receive:
        """Return a `receive` that refuses a body which grows beyond the limit."""
        seen = 0

        async def limited() -> Message:
            nonlocal seen
            message = await receive()
            seen += len(message.get("body", b""))
            if seen > self._max_body_bytes:
                raise self._too_large()
            return message

        return limited

    def _too_large(self) -> Problem:
        return Problem(413, f"the request body is larger than {self._max_body_bytes} bytes")


def _is_open(scope: Scope) -> bool:
    """Say whether a request needs no key: a look at the health, or a download with a signed URL."""
    return scope["method"] in ("GET", "HEAD") and _OPEN.fullmatch(scope["path"]) is not None


def _bearer(headers: Headers) -> str:
    """Return the credential as clients of the Hub send it (their HF_TOKEN), or nothing."""
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""


def _host_name(url: str) -> Any:
    """Return the host of a URL, or None."""
    try:
        return urlsplit(url).hostname
    except ValueError:
        return None
