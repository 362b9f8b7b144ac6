"""Arbitrary requests, and raw responses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from attrs import field, frozen
from tinkex_generated.errors import ParseError
from tinkex_generated.types import Request, loads

from tinkex._core.multipart import Files, Form, encode
from tinkex._core.transport import Transport
from tinkex.config import redact_headers
from tinkex.errors import ValidationError

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
# The characters of a path in RFC 3986, section 3.3.
_PATH = re.compile(r"(/[A-Za-z0-9._~!$&'()*+,;=:@%-]+)+")


@frozen(kw_only=True)
class RawResponse:
    """An unparsed response.

    Attributes:
        method: The request's method.
        url: The request's URL.
        status_code: The HTTP status.
        headers: The response's headers; look-up ignores case.
        content: The body.
        elapsed: Seconds from the first attempt to the response.
        retries: Attempts before the one with the response.
    """

    method: str
    url: str
    status_code: int
    headers: Mapping[str, str] = field(repr=lambda headers: repr(redact_headers(headers)))
    content: bytes = field(repr=lambda content: f"<{len(content)} bytes>")
    elapsed: float
    retries: int

    def header(self, name: str) -> str | None:
        """Return a header, ignoring case; None if it is missing."""
        return self.headers.get(name)

    def json(self) -> Any:
        """Return the body as JSON; an empty body is an empty object.

        Raises:
            ParseError: The body is not JSON (also a ValueError).
        """
        try:
            return loads(self.content) if self.content else {}
        except ValueError as error:
            raise ParseError("", f"is not JSON: {error}") from None


def send_raw(
    transport: Transport,
    method: str,
    path: str,
    body: Any,
    params: Mapping[str, str | int | float | bool] | None,
    timeout: float | None,
    files: Files | None = None,
) -> RawResponse:
    """Send one request and return its response; see `RestClient.request`."""
    method = method.upper() if isinstance(method, str) else method
    if method not in METHODS:
        raise ValidationError(f"must be one of {', '.join(METHODS)}, not {method!r}", path="method")
    if not isinstance(path, str) or not _PATH.fullmatch(path) or {".", ".."} & set(path.split("/")):
        raise ValidationError(
            f"must be a path such as '/api/v1/healthz', without a query, not {path!r}", path="path"
        )
    form = _form(method, body, files)
    request = Request(
        operation="raw_read" if method == "GET" else "raw_request",
        method=method,
        path=path,
        params=dict(params or {}),
        body=None if form else body,
        content_type=form.content_type if form else None if body is None else "application/json",
    )
    response = transport.send(request, timeout=timeout, body=form)
    return RawResponse(
        method=method,
        url=transport.where + path,
        status_code=response.status_code,
        headers=response.headers,
        content=response.content,
        elapsed=response.elapsed,
        retries=response.retries,
    )


def _form(method: str, body: Any, files: Files | None) -> Form | None:
    """Return a form with the files and the body's fields; None without files."""
    if files is None:
        return None
    if method == "GET":
        raise ValidationError("cannot be sent with GET; use POST or PUT", path="files")
    if body is not None and not isinstance(body, Mapping):
        raise ValidationError(
            f"must be a mapping of the form's fields when there are files, not {type(body).__name__}",
            path="body",
        )
    return encode(body, files)
