"""The official package's exceptions, and which of ours each stands for."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, cast

from tinkex import errors

if TYPE_CHECKING:
    import httpx

    from tinkex.tinker.types import RequestErrorCategory

P = ParamSpec("P")
T = TypeVar("T")


class TinkerError(Exception):
    """Something in the client, or in the service behind it, went wrong."""


class APIError(TinkerError):
    """A request failed.

    Attributes:
        message: The human sentence.
        request: Method and URL of the request, without its headers.
        body: What the server sent, at most 2,000 characters without secrets; None without a response.
    """

    message: str
    request: httpx.Request
    body: object | None

    def __init__(self, message: str, request: httpx.Request, *, body: object | None) -> None:
        super().__init__(message)
        self.message = message
        self.request = request
        self.body = body


class APIResponseValidationError(APIError):
    """A response is not what the API promises."""

    response: httpx.Response
    status_code: int

    def __init__(
        self, response: httpx.Response, body: object | None, message: str | None = None
    ) -> None:
        message = message or "the response is not what the API promises"
        super().__init__(message, response.request, body=body)
        self.response = response
        self.status_code = response.status_code

    def __reduce__(self) -> Any:
        return type(self), (self.response, self.body, self.message)


class APIStatusError(APIError):
    """A response has an error status.

    Attributes:
        response: The response, without its headers.
        status_code: Its status.
    """

    response: httpx.Response
    status_code: int

    def __init__(self, message: str, response: httpx.Response, body: object | None) -> None:
        super().__init__(message, response.request, body=body)
        self.response = response
        self.status_code = response.status_code

    def __reduce__(self) -> Any:
        return type(self), (self.message, self.response, self.body)


class APIConnectionError(APIError):
    """No response came."""

    def __init__(self, request: httpx.Request, message: str = "Connection error.") -> None:
        super().__init__(message, request, body=None)

    def __reduce__(self) -> Any:
        return type(self), (self.request, self.message)


class APITimeoutError(APIConnectionError):
    """No response came in time."""

    def __init__(self, request: httpx.Request) -> None:
        super().__init__(request, "Request timed out.")

    def __reduce__(self) -> Any:
        return type(self), (self.request,), {"args": self.args, "message": self.message}


class BadRequestError(APIStatusError):
    """The server did not understand the request (400)."""

    status_code: int = 400


class AuthenticationError(APIStatusError):
    """The server did not accept the credential (401)."""

    status_code: int = 401


class BillingError(APIStatusError):
    """The account cannot pay (402)."""

    status_code: int = 402


class PermissionDeniedError(APIStatusError):
    """The credential may not use the object (403)."""

    status_code: int = 403


class NotFoundError(APIStatusError):
    """The server does not have the object (404)."""

    status_code: int = 404


class ConflictError(APIStatusError):
    """The request contradicts the server's state (409)."""

    status_code: int = 409


class UnprocessableEntityError(APIStatusError):
    """The server refuses the request's fields (422)."""

    status_code: int = 422


class RateLimitError(APIStatusError):
    """The server asks to slow down (429)."""

    status_code: int = 429


class InternalServerError(APIStatusError):
    """The server failed (5xx)."""


class RequestFailedError(TinkerError):
    """A job that the server accepted failed.

    Attributes:
        message: The human sentence.
        request_id: The server's id of the request.
        category: Who can mend it.
    """

    def __init__(self, message: str, request_id: str, category: RequestErrorCategory) -> None:
        super().__init__(message)
        self.message = message
        self.request_id = request_id
        self.category = category

    def __reduce__(self) -> Any:
        return type(self), (self.message, self.request_id, self.category)


# Looked up along an error's classes, the nearest first. Errors that are not here are left as they
# are: a ValidationError is the ValueError, a FutureTimeoutError the TimeoutError, and a
# MissingDependencyError the ImportError that programs expect.
_STATUS: dict[type[Exception], type[APIStatusError]] = {
    errors.BadRequestError: BadRequestError,
    errors.AuthenticationError: AuthenticationError,
    errors.BillingError: BillingError,
    errors.PermissionDeniedError: PermissionDeniedError,
    errors.NotFoundError: NotFoundError,
    errors.ConflictError: ConflictError,
    errors.UnprocessableError: UnprocessableEntityError,
    errors.RateLimitError: RateLimitError,
    errors.ServerError: InternalServerError,
    errors.ApiError: APIStatusError,
}
_KEPT = (errors.ValidationError, TimeoutError, ImportError)


def translated(error: BaseException) -> BaseException:
    """Return the official package's exception for one of ours, and any other as it is.

    The new one has ours as its cause, with the request id, the hints and the attempts.
    """
    if not isinstance(error, errors.TinkexError) or isinstance(error, _KEPT):
        return error
    made = _made(error)
    made.__cause__ = error
    return made


def _made(error: errors.TinkexError) -> TinkerError:
    if isinstance(error, errors.ApiError):
        kind = next(_STATUS[cls] for cls in type(error).__mro__ if cls in _STATUS)
        return kind(str(error), _response(error), _body(error.body))
    if isinstance(error, errors.DecodeError):
        return APIResponseValidationError(_response(error), None, str(error))
    if isinstance(error, errors.ReadTimeoutError):
        timeout = APITimeoutError(_request())
        timeout.message, timeout.args = str(error), (str(error),)
        return timeout
    if isinstance(error, errors.TransportError):
        return APIConnectionError(_request(), str(error))
    if isinstance(error, errors.RequestFailedError | errors.FutureLostError):
        from tinkex.tinker.types import RequestErrorCategory

        category = RequestErrorCategory(error.category)
        return RequestFailedError(str(error), error.request_id or "", category)
    return TinkerError(str(error))


def _request() -> Any:
    """Return a request that says nothing: ours keep none, since its headers hold the key."""
    import httpx

    return httpx.Request("POST", "http://tinker.invalid/")


def _response(error: errors.TinkexError) -> Any:
    import httpx

    return httpx.Response(
        error.status_code or 200,
        content=getattr(error, "body", "").encode(),
        request=_request(),
    )


def _body(text: str) -> object | None:
    import json

    try:
        return cast("object", json.loads(text))
    except ValueError:
        return text or None


def translating(function: Callable[P, T]) -> Callable[P, T]:
    """Wrap a function so that it raises the official package's exceptions."""

    @functools.wraps(function)
    def wrapper(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return function(*args, **kwargs)
        except errors.TinkexError as error:
            raised = translated(error)
            if raised is error:
                raise
        raise raised from raised.__cause__

    return wrapper
