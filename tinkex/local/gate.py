"""What every request passes before it is looked at: host, origin, key, size, request id."""

import asyncio
import logging
import re
import time
import uuid
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tinkex.local.app import problem_response
from tinkex.local.hosts import HostNames
from tinkex.local.keys import KeyRing
from tinkex.local.log_lines import one_line
from tinkex.local.page.routes import LOCKED
from tinkex.local.page_access import TOKEN_HEADER, PageAccess
from tinkex.local.problem import Problem

logger = logging.getLogger("tinkex.local.gate")

_OPEN = re.compile(
    r"/api/v1/healthz"
    r"|/api/v1/training_runs/[^/]+/checkpoints/[^/]+/[^/]+/(download|files/[^/]+)"
    r"|/api/v1/sessions/[^/]+/trace_export/download"
    r"|/static/.*"
)
# What a browser opens, without the key's header.
_PAGE = re.compile(r"/|/live|/run/[^/]+(/live)?|/compare(/live)?")


class Gate:
    """Middleware that refuses unauthorized requests and numbers the others."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        keys: KeyRing,
        max_body_bytes: int,
        hosts: HostNames,
        pages: PageAccess,
        refused: Callable[[int, str], None],
        body_timeout_s: float,
    ) -> None:
        self._app = app
        self._keys = keys
        self._max_body_bytes = max_body_bytes
        self._hosts = hosts
        self._pages = pages
        self._refused = refused
        self._body_timeout_s = body_timeout_s

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
            self._refused(problem.status, str(problem))
            if status == 0:
                refused = problem_response(problem.status, problem.detail, problem.headers)
                await refused(scope, receive, numbered)
        finally:
            if logger.isEnabledFor(logging.DEBUG):
                took_ms = (time.perf_counter() - started) * 1e3
                logger.debug(
                    "%s %s -> %d in %.1f ms (%s)",
                    one_line(scope["method"]),
                    one_line(scope["path"]),
                    status,
                    took_ms,
                    request_id,
                )

    def _check(self, scope: Scope, headers: Headers) -> None:
        self._hosts.check(headers.get("host"), headers.get("origin"))
        if not _is_open(scope):
            self._check_key(scope, headers)
        length = headers.get("content-length", "")
        if length.isdigit() and int(length) > self._max_body_bytes:
            raise self._too_large()

    def _check_key(self, scope: Scope, headers: Headers) -> None:
        try:
            self._keys.check(headers.get("x-api-key") or _bearer(headers))
        except Problem:
            if not _is_page(scope):
                raise
            if not self._pages.admits(headers.get(TOKEN_HEADER, "")):
                if scope["path"].endswith("/live"):
                    raise
                scope[LOCKED] = True

    def _limited(self, receive: Receive) -> Receive:
        """Return a `receive` that refuses a body which grows beyond the limit, or stops coming."""
        seen, whole = 0, False

        async def limited() -> Message:
            nonlocal seen, whole
            if whole:
                # What comes now is the end of the connection, however late.
                return await receive()
            try:
                async with asyncio.timeout(self._body_timeout_s):
                    message = await receive()
            except TimeoutError:
                raise Problem(
                    408,
                    f"nothing of the request body came for {self._body_timeout_s:g} seconds",
                    headers={"connection": "close"},
                ) from None
            whole = not message.get("more_body", False)
            seen += len(message.get("body", b""))
            if seen > self._max_body_bytes:
                raise self._too_large()
            return message

        return limited

    def _too_large(self) -> Problem:
        return Problem(413, f"the request body is larger than {self._max_body_bytes} bytes")


def _is_open(scope: Scope) -> bool:
    """Return whether a request needs no key: the health, a download with a signed URL, a login."""
    if (scope["method"], scope["path"]) == ("POST", "/login"):
        return True
    return scope["method"] in ("GET", "HEAD") and _OPEN.fullmatch(scope["path"]) is not None


def _is_page(scope: Scope) -> bool:
    return scope["method"] in ("GET", "HEAD") and _PAGE.fullmatch(scope["path"]) is not None


def _bearer(headers: Headers) -> str:
    """Return the credential as clients of the Hub send it (their HF_TOKEN), or nothing."""
    scheme, _, credential = headers.get("authorization", "").partition(" ")
    return credential.strip() if scheme.lower() == "bearer" else ""
