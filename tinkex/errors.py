"""Every error that tinkex raises.

The tree::

    TinkexError
    ├─ ConfigurationError
    │   └─ MissingCredentialsError
    ├─ ValidationError                (also a ValueError; raised before anything is sent)
    ├─ TransportError                 (no usable answer came back)
    │   ├─ ConnectError
    │   │   ├─ TLSError
    │   │   └─ ProxyError
    │   ├─ ReadTimeoutError
    │   ├─ DecodeError
    │   └─ CircuitOpenError           (nothing was sent; see tinkex.retry)
    ├─ ApiError                       (the server answered with an error status)
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
    ├─ TokenizerError                 (none was found, or its files cannot be read)
    ├─ DivergedError                  (the loss of a training is no number any more)
    └─ CheckpointError
        ├─ DownloadIncompleteError
        └─ UnsafeArchiveError

Each message says what happened, to which object, and what to do about it; the identifiers that a
support request needs stand in brackets at its end and as attributes of the error.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Literal

from tinkex._base.redaction import LONGEST_WORDS, safe_text

# The server's words, and beside them what we say about them.
LONGEST_MESSAGE = 2 * LONGEST_WORDS
LONGEST_ID = 200

_LONGEST = {"message": LONGEST_MESSAGE, "request_id": LONGEST_ID, "session_id": LONGEST_ID}

Category = Literal["user", "server", "unknown"]


class TinkexError(Exception):
    """Report that something in tinkex, or in the service behind it, went wrong.

    An error may quote a server. So every text that is put on one, by the constructor or later, has
    its secrets masked, then its control characters replaced, then its length bounded.

    Attributes:
        message: The human sentence, without the identifiers.
        request_id: The service's id of the request, if it is known.
        session_id: The session in which it happened, if it is known.
        status_code: The HTTP status, if an answer came back.
        category: Who can mend it: "user", "server" or "unknown".
        retryable: Whether the same call may succeed later, unchanged.
        retry_after: Seconds that the server asked to wait, if it did.
        attempts: One line for each attempt that was made, oldest first.
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
        """Add a line that is shown below the error's traceback."""
        super().add_note(safe_text(note))

    def __str__(self) -> str:
        ids = {
            "request_id": self.request_id,
            "session": self.session_id,
            "status": self.status_code,
        }
        known = ", ".join(f"{name}={value}" for name, value in ids.items() if value is not None)
        return f"{self.message} ({known})" if known else self.message

    def __reduce__(self) -> tuple[object, ...]:
        # Exception's own way would call __init__ with the message alone and lose the keywords.
        return (_rebuild, (type(self), self.args, self.__dict__.copy()))


def _rebuild(
    cls: type[TinkexError], args: tuple[object, ...], state: dict[str, object]
) -> TinkexError:
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error


class ConfigurationError(TinkexError):
    """Report a setting that is missing or wrong."""

    default_category = "user"


class MissingCredentialsError(ConfigurationError):
    """Report that no API key was found, and where tinkex looked."""


class ValidationError(TinkexError, ValueError):
    """Report an argument that cannot be right, before anything is sent.

    Attributes:
        path: The place of the value, such as ``data[3].loss_fn_inputs['weights']``.
    """

    default_category = "user"

    def __init__(self, message: str, *, path: str | None = None) -> None:
        super().__init__(f"{path}: {message}" if path else message)
        self.path = path


class TransportError(TinkexError):
    """Report that no usable answer came back from the server.

    Attributes:
        was_sent: Whether the request may have reached the server.
        was_refused: Whether the server had no room for it, and certainly did nothing.
    """

    default_retryable = True
    was_sent: bool = True
    was_refused: bool = False


class ConnectError(TransportError):
    """Report that no connection to the server could be made."""


class TLSError(ConnectError):
    """Report that the server's certificate was not accepted."""

    default_retryable = False


class ProxyError(ConnectError):
    """Report that the proxy in use refused or broke the connection."""


class ReadTimeoutError(TransportError):
    """Report that the server accepted a request and did not answer in time."""


class DecodeError(TransportError):
    """Report an answer with a success status that is not what the API promises."""

    default_category = "server"
    default_retryable = False


class CircuitOpenError(TransportError):
    """Report a call that was held back because those before it failed; see ``retry_after``."""


class ApiError(TinkexError):
    """Report an answer with an error status.

    Attributes:
        body: At most 2,000 characters of the answer, without secrets.
        should_retry: The server's own word on whether the same request may be sent again.
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
    """Report a request that the server did not understand (400)."""

    default_category = "user"


class VersionNotSupportedError(BadRequestError):
    """Report a server that no longer talks to the SDK version that was reported."""


class AuthenticationError(ApiError):
    """Report an API key that the server did not accept (401)."""

    default_category = "user"


class BillingError(ApiError):
    """Report that the account cannot pay for the request (402)."""

    default_category = "user"


class PermissionDeniedError(ApiError):
    """Report an object that this API key may not use (403)."""

    default_category = "user"


class NotFoundError(ApiError):
    """Report an object or a route that the server does not have (404, 405, 501)."""

    default_category = "user"


class ConflictError(ApiError):
    """Report a request that contradicts the server's state (409, or 400 from the local server)."""

    default_category = "user"


class GoneError(ApiError):
    """Report an object that existed and has expired (410)."""


class PayloadTooLargeError(ApiError):
    """Report a request that is larger than the server takes (413)."""

    default_category = "user"


class UnprocessableError(ApiError):
    """Report a request whose fields the server refuses (422)."""

    default_category = "user"


class RateLimitError(ApiError):
    """Report that the server asks to slow down (429); see ``retry_after``."""

    default_category = "server"
    default_retryable = True


class ServerError(ApiError):
    """Report a failure inside the server (5xx)."""

    default_category = "server"
    default_retryable = True


class RequestFailedError(TinkexError):
    """Report a job that the server accepted and that then failed.

    ``category`` says whose fault the server thinks it is; a "server" failure may succeed when the
    same work is submitted again.
    """


class FutureTimeoutError(TinkexError, TimeoutError):
    """Report that a wait ended before the result came; the future stays valid.

    Call ``.result()`` on the same future again to go on waiting: nothing is lost.
    """

    default_retryable = True


class RegularizerTimeoutError(TinkexError, TimeoutError):
    """Report a regularizer that took longer than its pipeline waits."""

    default_category = "user"


class FutureLostError(TinkexError):
    """Report that the server no longer knows a result that it had promised.

    Attributes:
        resubmittable: Whether the same work may be submitted again without applying it twice
            (sampling: yes; a training step: look at the model's state first).
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
    """Report that the server ended the session; create a new ServiceClient."""


class ClientClosedError(TinkexError):
    """Report a call on a client that was closed."""

    default_category = "user"


class MissingDependencyError(TinkexError, ImportError):
    """Report an optional feature whose packages are not installed, with the command that mends it."""

    default_category = "user"

    def __init__(self, feature: str, extra: str) -> None:
        super().__init__(
            f"{feature} needs packages that are not installed: pip install 'tinkex[{extra}]'"
        )


class TokenizerError(TinkexError):
    """Report a tokenizer that was not found, or whose files cannot be read."""

    default_category = "user"


class DivergedError(TinkexError):
    """Report a training whose loss is no number any more; going on would only repeat it."""

    default_category = "user"


class CheckpointError(TinkexError):
    """Report a checkpoint that could not be read, written or downloaded."""


class DownloadIncompleteError(CheckpointError):
    """Report a download that ended early; calling it again goes on or starts over."""

    default_retryable = True


class UnsafeArchiveError(CheckpointError):
    """Report an archive with members that a checkpoint never has; nothing was extracted."""


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
    """Return the error class of an HTTP status; ``ApiError`` itself for one without a class.

    Args:
        status_code: The status.
        code: The short name of the error in the response, if it has one; ``"conflict"`` is a conflict
            whatever the status (the local server sends 400, see its documentation).
    """
    if code == "conflict":
        return ConflictError
    if status_code in _BY_STATUS:
        return _BY_STATUS[status_code]
    return ServerError if status_code >= 500 else ApiError
