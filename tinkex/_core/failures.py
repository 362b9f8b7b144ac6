"""Conversion of network failures and error responses into tinkex's errors."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from tinkex_generated.types import loads

from tinkex._base.redaction import clean, cut, redact, safe_text
from tinkex._base.version import __version__
from tinkex._core.response import Response
from tinkex._core.retry import IDEMPOTENT_STATUSES, retry_after_seconds, should_retry
from tinkex.errors import (
    ApiError,
    Category,
    ConflictError,
    ConnectError,
    DecodeError,
    ProxyError,
    ReadTimeoutError,
    TLSError,
    TransportError,
    VersionNotSupportedError,
    api_error_class,
)
from tinkex.types.states import RequestErrorCategory

UNKNOWN_MODEL = "unknown_model"
# Server texts that refuse a client for its version.
_OUTDATED = re.compile(
    r"(sdk|client)\b.{0,40}\bversion\b.{0,60}\b(no longer|not|un)\s?-?supported"
    r"|\bversion\b.{0,40}\b(deprecated|too old|outdated)|upgrade (your )?(sdk|client|tinker)",
    re.IGNORECASE,
)

# Bytes of an error body that are read. Text cut before masking may end in half a secret: far more is
# read than is shown, so that the cut never is.
MOST_READ = 1_000_000

# "received fatal alert: CertificateRequired", "tlsv13 alert certificate required", and the like.
_CLIENT_REFUSED = re.compile(r"\balert\b.*(certificate|unknown ?ca\b)", re.IGNORECASE)

_HTTP_PACKAGES = frozenset({"httpx", "httpcore", "h11"})

_HINTS = {
    400: "check the arguments against the message",
    401: "check TINKER_API_KEY: it may be mistyped, revoked or for another server",
    402: "look at the billing page of your account; nothing was retried",
    403: "this API key may not use the object; check that both belong to the same organisation",
    404: "check the id, and whether this server has the route",
    409: "the name or number is already taken; choose another, or inspect the existing object",
    410: "it existed and has expired",
    413: "send less in one call",
    422: "the server names the field that it refuses",
    429: "slow down, or wait as long as the server asks",
}


# Web frameworks' texts for an unknown route. The text for a missing object names it.
_FRAMEWORKS_404 = {"detail": "Not Found"}
_NO_ROUTE = frozenset({405, 501})

# Alternatives where a route is missing.
_OTHER_WAYS = {
    "copy_weights": "create a training client from the checkpoint, and save it",
    "create_custom_loss": "forward_backward_custom needs no upload",
    "get_checkpoint_archive_url": "export the weights by save_weights_external, if the server has that",
    "get_external_weights_urls": "download_checkpoint also looks for an archive",
    "list_user_checkpoints": "list_checkpoints(run_id) lists those of one run",
    "save_weights_external": "save_weights_for_sampler and download_checkpoint produce the same files",
    "search_sessions": "list_sessions and get_session list all sessions",
    "stream_sample": "sample returns the same tokens, all at once",
}


class Failure(Enum):
    """The ways in which an exchange can end without a response."""

    PROXY = "proxy"
    TLS = "tls"
    CLIENT_CERTIFICATE = "client certificate"
    RESOLVE = "resolve"
    CONNECT = "connect"
    TIMEOUT = "timeout"
    DECODE = "decode"
    REQUEST = "request"
    BROKEN = "broken"


def transport_error(failure: Failure, text: str, where: str) -> TransportError:
    """Return the error for an exchange without a response.

    The underlying error is not kept as its cause: it may hold the live request, and so the API key.
    """
    if failure is Failure.PROXY:
        return ProxyError(
            f"the proxy on the way to {where} failed: {text}; check TINKEX_PROXY or HTTPS_PROXY"
        )
    if failure is Failure.TLS:
        return TLSError(
            f"the certificate of {where} was not accepted: {text}; for a private authority pass "
            "verify='/path/to/ca.pem' (TINKEX_CA_BUNDLE)"
        )
    if failure is Failure.CLIENT_CERTIFICATE:
        return TLSError(
            f"{where} accepts only clients with a certificate that it knows: {text}; pass "
            "client_cert='/path/to/client.pem' (TINKEX_CLIENT_CERT)"
        )
    if failure is Failure.RESOLVE:
        return ConnectError(
            f"cannot resolve the host of {where}: {text}; check the name and your DNS"
        )
    if failure is Failure.CONNECT:
        return ConnectError(
            f"cannot connect to {where}: {text}; check that the address is right and the server is up"
        )
    if failure is Failure.TIMEOUT:
        return ReadTimeoutError(f"{where} did not respond in time ({text})")
    if failure is Failure.DECODE:
        return DecodeError(f"{where} sent a response that cannot be decompressed: {text}")
    if failure is Failure.REQUEST:
        return TransportError(f"the request to {where} cannot be sent: {text}", retryable=False)
    return TransportError(f"the connection to {where} broke: {text}")


def wants_client_certificate(text: str) -> bool:
    """Return whether a message is a TLS alert that refuses the client's certificate."""
    return _CLIENT_REFUSED.search(text) is not None


def strip_requests(error: BaseException) -> None:
    """Remove from an error and its causes what may hold or quote the request headers."""
    for cause in causes_of(error):
        cause.__traceback__ = None
        if getattr(cause, "_request", None) is not None:
            cause._request = None  # type: ignore[attr-defined]
        if type(cause).__module__.partition(".")[0] in _HTTP_PACKAGES:
            cause.args = ()


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and its causes, each once."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        yield cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__


def api_error(response: Response, what: str) -> ApiError:
    """Return the error for a response with an error status."""
    status = response.status_code
    body = _decoded(response.content)
    text = redact(_text_of(response.content))
    said = message_of(body)
    detail = safe_text(said) or _start(text) or safe_text(response.reason_phrase)
    kind = api_error_class(status, body.get("code"))
    if is_missing_route(status, text):
        other = _OTHER_WAYS.get(what)
        hint = "this server does not offer the route" + (f"; {other}" if other else "")
    elif body.get("code") == UNKNOWN_MODEL:
        # The server names the models that it has.
        hint = ""
    elif status == 404 and said:
        # The route is there, since it says what it lacks.
        hint = "check the id"
    else:
        hint = _hint(409 if kind is ConflictError else status)
    message = f"{what} failed with HTTP {status}: {detail}" + (f" — {hint}" if hint else "")
    if status in (400, 426) and _OUTDATED.search(detail):
        kind = VersionNotSupportedError
        message = (
            f"{what} failed with HTTP {status}: {detail} — this is tinkex {__version__}; upgrade tinkex (pip install -U tinkex), or report another "
            "version by sdk_version=... (TINKEX_SDK_VERSION)"
        )
    error = kind(
        message,
        status_code=status,
        body=text,
        request_id=_request_id(body, response),
        # Servers differ in whom they blame for a 429, so its category is ignored.
        category=None if status == 429 else _category(body),
        retryable=_is_retryable(response),
        retry_after=retry_after_seconds(response.headers),
    )
    error.should_retry = should_retry(response.headers)
    return error


def is_missing_route(status: int | None, body: str) -> bool:
    """Return whether an error response says that the server does not have the route at all.

    Args:
        status: The response's status.
        body: Its body, as in `ApiError.body`.
    """
    if status != 404:
        return status in _NO_ROUTE
    try:
        return bool(loads(body) == _FRAMEWORKS_404)
    except ValueError:
        return False


def decode_error(
    content: bytes,
    content_type: str,
    what: str,
    why: str,
) -> DecodeError:
    """Return the error for a success status with an unexpected body."""
    start = _start(_text_of(content))
    # The generated parsers quote the beginning too; it is shown once.
    why = safe_text(why.partition("; it begins ")[0])
    kind = safe_text(content_type, 100) or "unknown"
    return DecodeError(
        f"{what}: the response does not conform to the API ({why}); content type "
        f"{kind!r}, it begins {start!r}. Is base_url a Tinker server?"
    )


def _is_retryable(response: Response) -> bool | None:
    """Return whether the same call may succeed later; None leaves it to the error's class."""
    word = should_retry(response.headers)
    return True if word is None and response.status_code in IDEMPOTENT_STATUSES else word


def _decoded(content: bytes) -> dict[str, Any]:
    try:
        body = loads(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def message_of(body: Mapping[str, Any]) -> str:
    """Return the message of an error body, in any of the forms that servers use."""
    for key in ("message", "error", "detail"):
        message = body.get(key)
        if isinstance(message, str) and message:
            return message
        if isinstance(message, dict) and isinstance(message.get("message"), str):
            return str(message["message"])
        if isinstance(message, list) and message:
            return "; ".join(_field_problem(item) for item in message[:5])
    return ""


def _field_problem(item: object) -> str:
    if not isinstance(item, dict):
        return str(item)
    parts = item.get("loc")
    known = parts if isinstance(parts, list) else []
    place = ".".join(str(part) for part in known if part != "body")
    return f"{place}: {item.get('msg', 'invalid')}" if place else str(item.get("msg", "invalid"))


def _text_of(content: bytes) -> str:
    """Return the beginning of a body, longer than any part that is shown after masking."""
    return content[:MOST_READ].decode("utf-8", "replace")


def _start(text: str) -> str:
    return cut(clean(" ".join(redact(text).split())), 200)


def _hint(status: int) -> str:
    if 300 <= status < 400:
        return "redirects are not followed, to protect the API key; check base_url"
    if status >= 500 and status not in _HINTS:
        return "the server failed; the call was retried as far as that is safe"
    return _HINTS.get(status, "")


def _request_id(body: dict[str, Any], response: Response) -> str | None:
    value = body.get("request_id") or response.headers.get("x-request-id")
    return str(value) if value else None


def _category(body: dict[str, Any]) -> Category | None:
    known = RequestErrorCategory.parse(body.get("category"))
    return None if known is RequestErrorCategory.UNKNOWN else known.value  # type: ignore[return-value]
