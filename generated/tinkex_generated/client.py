# Generated from openapi.yaml by codegen/generate.py. Do not edit.
"""A plain synchronous client: it sends each request once and follows no redirects."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Self, TypeVar, overload

import attrs
import httpx

from .errors import UnexpectedStatus
from .types import Request

T = TypeVar("T")

__all__ = ("Client",)


@attrs.frozen(kw_only=True)
class Client:
    """A server, and the key to it.

        with Client(base_url="https://api.example.com", token="...") as client:
            operation.sync(client=client, ...)

    Attributes:
        base_url: The server, with any path prefix.
        token: The API key; it is never part of the repr.
        timeout: Seconds that connecting may take, and any pause in sending or receiving.
        headers: Headers for every request.
        transport: Another httpx transport, for tests.
    """

    base_url: str
    token: str | None = attrs.field(default=None, repr=False)
    timeout: float = attrs.field(
        default=60.0, validator=[attrs.validators.gt(0), attrs.validators.lt(float("inf"))]
    )
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
    ) -> T: ...
    @overload
    def exchange(
        self,
        request: Request,
        parse: Callable[[bytes], T],
        statuses: tuple[int, ...],
        bodiless: tuple[int, ...],
    ) -> T | None: ...
    def exchange(
        self,
        request: Request,
        parse: Callable[[bytes], T],
        statuses: tuple[int, ...],
        bodiless: tuple[int, ...] = (),
    ) -> T | None:
        """Send a request once and parse the response; raises UnexpectedStatus for other statuses."""
        response = self.send(request)
        if response.status_code in statuses:
            return parse(response.content)
        if response.status_code in bodiless:
            return None
        raise UnexpectedStatus(response.status_code, response.content)
