# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""A plain synchronous client: it sends once, and neither retries nor follows redirects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self, TypeVar, overload

import attrs
import httpx

from .errors import UnexpectedStatus
from .types import Request, Response

T = TypeVar("T")

__all__ = ("Client",)


@attrs.frozen(kw_only=True)
class Client:
    """Where and as whom operations are sent.

    Attributes:
        base_url: The server, with any path prefix.
        token: The API key; it is never part of the repr.
        timeout: Seconds before a request is given up.
        headers: Headers for every request.
        transport: Another httpx transport, for tests.
    """

    base_url: str
    token: str | None = attrs.field(default=None, repr=False)
    timeout: float = 60.0
    headers: Mapping[str, str] = attrs.field(factory=dict, repr=False)
    transport: httpx.BaseTransport | None = attrs.field(default=None, repr=False)
    _http: httpx.Client = attrs.field(init=False, repr=False, eq=False)

    @_http.default
    def _connect(self) -> httpx.Client:
        return httpx.Client(
            base_url=self.base_url,
            headers=dict(self.headers),
            timeout=self.timeout,
            transport=self.transport,
            follow_redirects=False,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    def send(self, request: Request) -> httpx.Response:
        """Send a request once and return the response, whatever its status."""
        headers = dict(request.headers)
        if request.content_type is not None:
            headers["content-type"] = request.content_type
        if request.secured and self.token is not None:
            headers["x-api-key"] = self.token
        return self._http.request(
            request.method,
            request.path,
            params=request.params or None,
            headers=headers,
            content=request.encode(),
        )

    @overload
    def exchange(
        self, request: Request, parse: Callable[[bytes], T], statuses: tuple[int, ...]
    ) -> Response[T]: ...
    @overload
    def exchange(
        self,
        request: Request,
        parse: Callable[[bytes], T],
        statuses: tuple[int, ...],
        bodiless: tuple[int, ...],
    ) -> Response[T | None]: ...
    def exchange(
        self,
        request: Request,
        parse: Callable[[bytes], T],
        statuses: tuple[int, ...],
        bodiless: tuple[int, ...] = (),
    ) -> Response[Any]:
        """Send a request and parse the response; raises UnexpectedStatus for any other status."""
        response = self.send(request)
        status, content = response.status_code, response.content
        if status in statuses:
            parsed = parse(content)
        elif status in bodiless:
            parsed = None
        else:
            raise UnexpectedStatus(status, content)
        return Response(
            status_code=status, headers=response.headers, content=content, parsed=parsed
        )
