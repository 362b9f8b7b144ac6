"""Turn what the network and the server say into one of tinkex's errors."""

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

# How servers say that they no longer talk to a client as old as this.
_OUTDATED = re.compile(
    r"(sdk|client)\b.{0,40}\bversion\b.{0,60}\b(no longer|not|un)\s?-?supported"
    r"|\bversion\b.{0,40}\b(deprecated|too old|outdated)|upgrade (your )?(sdk|client|tinker)",
    re.IGNORECASE,
)

# Bytes of an error's body that are looked at. What is cut off before it is masked may leave half a
# secret at the end: far more is read than is shown, so that this end never is.
MOST_READ = 1_000_000

# "received fatal alert: CertificateRequired", "tlsv13 alert certificate required", and the like.
_CLIENT_REFUSED = re.compile(r"\balert\b.*(certificate|unknown ?ca\b)", re.IGNORECASE)

_HTTP_PACKAGES = frozenset({"httpx", "httpcore", "h11"})

_HINTS = {
    400: "check the arguments against the message",
    401: "check TINKER_API_KEY: it may be mistyped, revoked or another server's",
    402: "look at the billing page of your account; nothing was retried",
    403: "this API key may not use the object; check that both belong to the same organisation",
    404: "check the id, and whether this server offers the route at all",
    405: "this server does not offer the route",
    409: "the name or number is taken already; choose another, or look at what is there",
    410: "it existed and has expired",
    413: "send less in one call",
    422: "the server names the field that it refuses",
    429: "slow down, or wait as long as the server asks",
    501: "this server does not offer the route",
}


class Failure(Enum):
    """Say in which way an exchange brought no answer."""

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
    """Return the error for an exchange that brought no answer.

    The error underneath is not kept as a cause: it may hold the live request, and so the API key.
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
        return ReadTimeoutError(f"{where} did not answer in time ({text})")
    if failure is Failure.DECODE:
        return DecodeError(f"{where} sent an answer that cannot be decompressed: {text}")
    if failure is Failure.REQUEST:
        return TransportError(f"the request to {where} cannot be sent: {text}", retryable=False)
    return TransportError(f"the connection to {where} broke: {text}")


def wants_client_certificate(text: str) -> bool:
    """Return whether a message is about a TLS alert with which a server refuses a client."""
    return _CLIENT_REFUSED.search(text) is not None


def disarm(error: BaseException) -> None:
    """Take off an error and its causes what may hold or repeat the headers that were sent."""
    for cause in causes_of(error):
        cause.__traceback__ = None
        if getattr(cause, "_request", None) is not None:
            cause._request = None  # type: ignore[attr-defined]
        if type(cause).__module__.partition(".")[0] in _HTTP_PACKAGES:
            cause.args = ()


def causes_of(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and what it came from, each once."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen:
        yield cause
        seen.add(id(cause))
        cause = cause.__cause__ or cause.__context__


def api_error(response: Response, what: str) -> ApiError:
    """Return the error for an answer with an error status."""
    status = response.status_code
    body = _decoded(response.content)
    text = redact(_text_of(response.content))
    said = safe_text(message_of(body)) or _start(text) or safe_text(response.reason_phrase)
    kind = api_error_class(status, body.get("code"))
    hint = _hint(409 if kind is ConflictError else status)
    message = f"{what} was answered with HTTP {status}: {said}" + (f" — {hint}" if hint else "")
    if status in (400, 426) and _OUTDATED.search(said):
        kind = VersionNotSupportedError
        message = (
            f"{what} was answered with HTTP {status}: {said} — this is tinkex {__version__}; upgrade tinkex (pip install -U tinkex), or report another "
            "version by sdk_version=... (TINKEX_SDK_VERSION)"
        )
    error = kind(
        message,
        status_code=status,
        body=text,
        request_id=_request_id(body, response),
        # Whose fault a full server is does not depend on who says so.
        category=None if status == 429 else _category(body),
        retryable=_is_retryable(response),
        retry_after=retry_after_seconds(response.headers),
    )
    error.should_retry = should_retry(response.headers)
    return error


def decode_error(
    content: bytes,
    content_type: str,
    what: str,
    why: str,
) -> DecodeError:
    """Return the error for a success status whose body is not what the API promises."""
    start = _start(_text_of(content))
    # The generated parsers quote the beginning too; once is enough.
    why = safe_text(why.partition("; it begins ")[0])
    kind = safe_text(content_type, 100) or "unknown"
    return DecodeError(
        f"{what}: the answer is not what the API promises ({why}); content type "
        f"{kind!r}, it begins {start!r}. Is base_url a Tinker server?"
    )


def _is_retryable(response: Response) -> bool | None:
    """Return what an error says of the same call later; None leaves it to the error's class."""
    word = should_retry(response.headers)
    return True if word is None and response.status_code in IDEMPOTENT_STATUSES else word


def _decoded(content: bytes) -> dict[str, Any]:
    try:
        body = loads(content)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


def message_of(body: Mapping[str, Any]) -> str:
    """Return what an error body says in words, in any of the forms that servers use."""
    for key in ("message", "error", "detail"):
        said = body.get(key)
        if isinstance(said, str) and said:
            return said
        if isinstance(said, dict) and isinstance(said.get("message"), str):
            return str(said["message"])
        if isinstance(said, list) and said:
            return "; ".join(_field_problem(item) for item in said[:5])
    return ""


def _field_problem(item: object) -> str:
    if not isinstance(item, dict):
        return str(item)
    parts = item.get("loc")
    known = parts if isinstance(parts, list) else []
    place = ".".join(str(part) for part in known if part != "body")
    return f"{place}: {item.get('msg', 'invalid')}" if place else str(item.get("msg", "invalid"))


def _text_of(content: bytes) -> str:
    """Return the beginning of a body, long enough that masking leaves more than is ever shown."""
    return content[:MOST_READ].decode("utf-8", "replace")


def _start(text: str) -> str:
    return cut(clean(" ".join(redact(text).split())), 200)


def _hint(status: int) -> str:
    if 300 <= status < 400:
        return "redirects are not followed, for they could carry the API key away; check base_url"
    if status >= 500 and status not in _HINTS:
        return "the server failed; the call was repeated as far as that is safe"
    return _HINTS.get(status, "")


def _request_id(body: dict[str, Any], response: Response) -> str | None:
    value = body.get("request_id") or response.headers.get("x-request-id")
    return str(value) if value else None


def _category(body: dict[str, Any]) -> Category | None:
    value = str(body.get("category", "")).lower()
    return value if value in {"user", "server"} else None  # type: ignore[return-value]
