"""Every error that tinkex raises.

The tree::

    TinkexError
    ├─ ConfigurationError
    │   └─ MissingCredentialsError
    ├─ ValidationError                (also a ValueError; raised before anything is sent)
    ├─ TransportError                 (no usable response)
    │   ├─ ConnectError
    │   │   ├─ TLSError
    │   │   └─ ProxyError
    │   ├─ ReadTimeoutError
    │   ├─ DecodeError
    │   └─ CircuitOpenError           (nothing was sent; see tinkex.retry)
    ├─ ApiError                       (the server responded with an error status)
    │   ├─ BadRequestError 400
    │   │   └─ VersionNotSupportedError
    │   ├─ AuthenticationError 401 · BillingError 402
    │   ├─ PermissionDeniedError 403 · NotFoundError 404 · ConflictError 409
    │   ├─ GoneError 410 · PayloadTooLargeError 413 · UnprocessableError 422
    │   ├─ RateLimitError 429
    │   └─ ServerError 5xx
    ├─ RequestFailedError             (the job was accepted and then failed)
    ├─ FutureTimeoutError             (also a TimeoutError; the future stays valid)
    ├─ RegularizerTimeoutError        (also a TimeoutError)
    ├─ FutureLostError                (the server no longer knows the result)
    ├─ SessionLostError
    ├─ ClientClosedError
    ├─ MissingDependencyError         (also an ImportError; names the pip command)
    ├─ TokenizerError                 (not found, or its files cannot be read)
    ├─ DivergedError                  (the training loss is not finite)
    └─ CheckpointError
        ├─ DownloadIncompleteError
        └─ UnsafeArchiveError

Each message says what happened, to which object, and what to do about it. The ids that support needs are
in parentheses at its end and attributes of the error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from tinkex._base.redaction import LONGEST_WORDS, safe_text

# Length limit: the server's text and our own.
LONGEST_MESSAGE = 2 * LONGEST_WORDS
LONGEST_ID = 200

_LONGEST = {"message": LONGEST_MESSAGE, "request_id": LONGEST_ID, "session_id": LONGEST_ID}

Category = Literal["user", "server", "unknown"]


class TinkexError(Exception):
    """Base class of all errors of tinkex and of the service behind it.

    An error may quote a server. Every text on it, from the constructor or added later, is therefore
    redacted, stripped of control characters, and limited in length.

    Attributes:
        message: The message, without the ids.
        request_id: The server's id of the request, if known.
        session_id: The session, if known.
        status_code: The HTTP status, if there was a response.
        category: The party that can fix the problem: "user", "server" or "unknown".
        retryable: Whether the same call may succeed later, unchanged.
        retry_after: Seconds that the server asked to wait, if any.
        attempts: One line per attempt, oldest first.
    """

    default_category: ClassVar[Category] = "unknown"
    default_retryable: ClassVar[bool] = False

    def __init__(
        self,
        message: str,
        *,
        request_id: str | None = None,
        session_id: str | None = None,
        status_code: int | None = None,
        category: Category | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        self.message = message
        super().__init__(self.message)
        self.request_id = request_id
        self.session_id = session_id
        self.status_code = status_code
        self.category: Category = category or self.default_category
        self.retryable = self.default_retryable if retryable is None else retryable
        self.retry_after = retry_after
        self.attempts: tuple[str, ...] = ()

    def __setattr__(self, name: str, value: object) -> None:
        if isinstance(value, str):
            value = safe_text(value, _LONGEST.get(name, LONGEST_WORDS))
        elif name == "attempts" and isinstance(value, list | tuple):
            value = tuple(safe_text(str(line)) for line in value)
        super().__setattr__(name, value)

    def add_note(self, note: str) -> None:
        """Add a line that is shown below the traceback."""
        super().add_note(safe_text(note))

    def __str__(self) -> str:
        ids = {
            "request_id": self.request_id,
            "session": self.session_id,
            "status": self.status_code,
        }
        known = ", ".join(f"{name}={value}" for name, value in ids.items() if value is not None)
        return f"{self.message} ({known})" if known else self.message

    def _render_traceback_(self) -> list[str]:
        """Return what IPython shows: the caller's own lines, and the message."""
        from tinkex._base.notebook import traceback_lines

        return traceback_lines(self)

    def __reduce__(self) -> tuple[object, ...]:
        # The default would call __init__ with the message alone and lose the keyword arguments.
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))


def _rebuild(
    cls: type[TinkexError], args: tuple[object, ...], state: dict[str, object]
) -> TinkexError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(TinkexError):
    """A setting is missing or invalid."""

    default_category = "user"


class MissingCredentialsError(ConfigurationError):
    """No API key was found."""


class ValidationError(TinkexError, ValueError):
    """An argument is invalid; raised before anything is sent.

    Attributes:
        path: The location of the value, such as ``data[3].loss_fn_inputs['weights']``.
    """

    default_category = "user"

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


class TransportError(TinkexError):
    """No usable response was received from the server.

    Attributes:
        was_sent: Whether the request may have reached the server.
        was_refused: Whether the server refused it for lack of capacity, and certainly did nothing.
    """

    default_retryable = True
    was_sent: bool = True
    was_refused: bool = False


class ConnectError(TransportError):
    """No connection to the server could be established."""


class TLSError(ConnectError):
    """The server's certificate was not accepted."""

    default_retryable = False


class ProxyError(ConnectError):
    """The proxy refused or closed the connection."""


class ReadTimeoutError(TransportError):
    """The server accepted a request and did not respond in time."""


class DecodeError(TransportError):
    """A response with a success status does not conform to the API."""

    default_category = "server"
    default_retryable = False


class CircuitOpenError(TransportError):
    """The call was refused because earlier ones failed; see ``retry_after``."""


class ApiError(TinkexError):
    """The server responded with an error status.

    Attributes:
        body: The first 2,000 characters of the response, redacted.
        should_retry: Whether the server says that the same request may be sent again.
    """

    should_retry: bool | None = None

    def __init__(
        self,
        message: str,
        *,
        status_code: int,
        body: str = "",
        request_id: str | None = None,
        session_id: str | None = None,
        category: Category | None = None,
        retryable: bool | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(
            message,
            request_id=request_id,
            session_id=session_id,
            status_code=status_code,
            category=category,
            retryable=retryable,
            retry_after=retry_after,
        )
        self.body = body


class BadRequestError(ApiError):
    """The server could not interpret the request (400)."""

    default_category = "user"


class VersionNotSupportedError(BadRequestError):
    """The server no longer supports the reported SDK version."""


class AuthenticationError(ApiError):
    """The server did not accept the API key (401)."""

    default_category = "user"


class BillingError(ApiError):
    """The account cannot pay for the request (402)."""

    default_category = "user"


class PermissionDeniedError(ApiError):
    """The API key has no access to the object (403)."""

    default_category = "user"


class NotFoundError(ApiError):
    """The server does not have the object or the route (404, 405, 501)."""

    default_category = "user"


class ConflictError(ApiError):
    """The request conflicts with the server's state (409, or 400 from the local server)."""

    default_category = "user"


class GoneError(ApiError):
    """The object existed and has expired (410)."""


class PayloadTooLargeError(ApiError):
    """The request is larger than the server accepts (413)."""

    default_category = "user"


class UnprocessableError(ApiError):
    """The server refused fields of the request (422)."""

    default_category = "user"


class RateLimitError(ApiError):
    """The server asks to slow down (429); see ``retry_after``."""

    default_category = "server"
    default_retryable = True


class ServerError(ApiError):
    """The server failed internally (5xx)."""

    default_category = "server"
    default_retryable = True


class RequestFailedError(TinkexError):
    """The server accepted a job, and the job failed.

    ``category`` is the server's opinion on whose fault it is; a "server" failure may succeed if the same
    work is submitted again.
    """


class FutureTimeoutError(TinkexError, TimeoutError):
    """A wait timed out; the future stays valid.

    Call ``.result()`` on the same future again to continue waiting.
    """

    default_retryable = True


class RegularizerTimeoutError(TinkexError, TimeoutError):
    """A regularizer exceeded its pipeline's time limit."""

    default_category = "user"


class FutureLostError(TinkexError):
    """The server no longer knows a result that it promised.

    Attributes:
        resubmittable: Whether the same work can be submitted again without applying it twice (for
            sampling yes; for a training step, check the model's state first).
    """

    def __init__(
        self,
        message: str,
        *,
        resubmittable: bool,
        request_id: str | None = None,
        status_code: int | None = None,
    ) -> None:
        super().__init__(message, request_id=request_id, status_code=status_code, category="server")
        self.resubmittable = resubmittable


class SessionLostError(TinkexError):
    """The server ended the session; create a new ServiceClient."""


class ClientClosedError(TinkexError):
    """The client was closed."""

    default_category = "user"


class MissingDependencyError(TinkexError, ImportError):
    """The packages of an optional feature are not installed."""

    default_category = "user"

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs packages that are not installed: pip install 'tinkex[{extra}]'"
        )


class TokenizerError(TinkexError):
    """A tokenizer was not found, or its files cannot be read."""

    default_category = "user"


class DivergedError(TinkexError):
    """The training loss is not finite; continuing would not change that."""

    default_category = "user"


class CheckpointError(TinkexError):
    """A checkpoint could not be read, written or downloaded."""


class DownloadIncompleteError(CheckpointError):
    """A download ended early; calling it again resumes or restarts it."""

    default_retryable = True


class UnsafeArchiveError(CheckpointError):
    """An archive has members that a checkpoint never has; nothing was extracted."""


_BY_STATUS: Mapping[int, type[ApiError]] = {
    400: BadRequestError,
    401: AuthenticationError,
    402: BillingError,
    403: PermissionDeniedError,
    404: NotFoundError,
    405: NotFoundError,
    409: ConflictError,
    410: GoneError,
    413: PayloadTooLargeError,
    422: UnprocessableError,
    429: RateLimitError,
    501: NotFoundError,
}


def api_error_class(status_code: int, code: object = None) -> type[ApiError]:
    """Return the error class of an HTTP status; ``ApiError`` if it has no class of its own.

    Args:
        status_code: The status.
        code: The short name of the error in the response, if it has one; ``"conflict"`` is a conflict
            with any status (the local server sends 400, see its documentation).
    """
    if code == "conflict":
        return ConflictError
    if status_code in _BY_STATUS:
        return _BY_STATUS[status_code]
    return ServerError if status_code >= 500 else ApiError
