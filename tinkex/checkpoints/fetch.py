"""Resumable download of a file from a signed URL."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Self
from urllib.parse import urlsplit

import httpx
from attrs import frozen

from tinkex._base.clock import Clock
from tinkex._base.redaction import without_queries
from tinkex._base.secret import Secret
from tinkex._base.urls import is_loopback_host, split_url
from tinkex._core.events.bus import has_subscribers
from tinkex._core.failures import Failure, causes_of, transport_error
from tinkex._core.httpx_engine import httpx_proxy
from tinkex._core.instrumentation import RequestObserver
from tinkex._core.response import REDIRECTS
from tinkex._core.retry import (
    Retries,
    RetryBudget,
    RetryPolicy,
    full_jitter,
    retry_after_seconds,
)
from tinkex._core.tls import tls_context
from tinkex.checkpoints.partial import Partial
from tinkex.config import Config
from tinkex.config.proxies import ProxySettings, proxy_for_url, through
from tinkex.errors import (
    CheckpointError,
    ConfigurationError,
    DownloadIncompleteError,
    ProxyError,
    TransportError,
    UnsafeArchiveError,
)

Progress = Callable[[int, int | None], None]

TIMEOUT = 60.0
# Attempts and seconds without progress; progress resets both.
POLICY = RetryPolicy(max_attempts=5, deadline=300.0)
# Bytes that count as progress. A host that sends less in TIMEOUT seconds counts as silent.
LEAST_PROGRESS = 64 * 1024
MOST_REDIRECTS = 5
# Without an announced length, the free space is checked each time this many bytes are written.
SPACE_STEP = 256 * 1024**2
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_UNSATISFIED = re.compile(r"bytes \*/(\d+)")


@frozen
class Source:
    """The source of a file.

    Attributes:
        label: The file's name in errors.
        sign: Returns a temporary signed URL, which is as secret as a key until it expires.
        config: The settings of the connection.
        clock: The clock of the waits.
        most_bytes: Upper limit of the file's size; a host that sends more is disconnected.
        jitter: Returns a random wait up to its argument.
    """

    label: str
    sign: Callable[[], Secret | str]
    config: Config
    clock: Clock
    most_bytes: int
    jitter: Callable[[float], float] = full_jitter

    def retries(self) -> Retries:
        """Return the retry state of attempts without progress."""
        return Retries(POLICY, RetryBudget(), self.clock, self.jitter)


def fetch(source: Source, partial: Partial, progress: Progress | None) -> None:
    """Stream a file to disk, resuming after broken connections.

    Raises:
        CheckpointError: The file's host refuses, or the disk has too little space.
        UnsafeArchiveError: The file is larger than any checkpoint.
        DownloadIncompleteError: The file was incomplete after all attempts.
        ProxyError: The proxy requires authentication.
        TLSError: The certificate of the host, or of its proxy, cannot be verified.
    """
    best, broken, retries = partial.size(), 0, source.retries()
    while True:
        # Signed again for each attempt: a signature may expire midway.
        url = Secret.of(source.sign()) or Secret("")
        try:
            with (
                without_queries(),
                _events(source, url) as events,
                _response(source.config, url, partial) as response,
            ):
                had = partial.size() if response.status_code == httpx.codes.PARTIAL_CONTENT else 0
                _take(response, partial, progress, source)
                events.responded(response.status_code, partial.size() - had)
        except httpx.InvalidURL:
            raise CheckpointError("the archive's host redirects to an invalid URL") from None
        except (httpx.HTTPError, DownloadIncompleteError) as error:
            reason = f"{type(error).__name__} ({error})"
            retry_after = getattr(error, "retry_after", None)
            refused = _refused_certificate(error, source.config)
        else:
            return
        if refused is not None:
            # Raised here, it has no context: the request of httpx's error holds the signature.
            raise refused
        broken += 1
        if partial.size() >= best + LEAST_PROGRESS:
            best, retries = partial.size(), source.retries()
        wait = retries.next_wait(retry_after=retry_after)
        if wait is None:
            # httpx's messages have no URLs, so the signature is not shown.
            times = "once" if broken == 1 else f"{broken} times"
            raise DownloadIncompleteError(
                f"the download of {source.label} broke {times}, the last time with {reason}; "
                f"{retries.refusal}: call download again"
            )
        source.clock.sleep(wait)


def _events(source: Source, url: Secret) -> RequestObserver:
    """Return what emits the events of an attempt, without its URL, which is as good as a key."""
    facts = {
        "operation": "download_archive",
        "method": "GET",
        "path": "",
        "base_url": _origin(url),
        "pool": source.config.http_pool,
    }
    return RequestObserver(source.clock, facts if has_subscribers() else None)


@contextlib.contextmanager
def _response(config: Config, url: Secret, partial: Partial) -> Iterator[httpx.Response]:
    """Request the missing part of the archive, following redirects manually."""
    headers = {"Accept-Encoding": "identity"}
    have = partial.size()
    if have and partial.etag:
        headers |= {"Range": f"bytes={have}-", "If-Range": partial.etag}
    encrypted = urlsplit(config.base_url).scheme == "https"
    for _ in range(MOST_REDIRECTS + 1):
        encrypted = _check_url(url, config, encrypted=encrypted)
        proxy = proxy_for_url(config, url.reveal())
        with (
            _anonymous_client(config, proxy, encrypted=encrypted) as client,
            _stream(client, url, headers, proxy) as response,
        ):
            if response.status_code not in REDIRECTS:
                _check_status(response, _origin(url), partial)
                yield response
                return
            location = Secret(response.headers.get("location", ""))
            url = Secret(str(httpx.URL(url.reveal()).join(location.reveal())))
    raise CheckpointError(f"the archive's host redirects more than {MOST_REDIRECTS} times")


@contextlib.contextmanager
def _stream(
    client: httpx.Client, url: Secret, headers: Mapping[str, str], proxy: ProxySettings | None
) -> Iterator[httpx.Response]:
    refused = False
    deadline = _HeadDeadline(TIMEOUT)
    try:
        with (
            deadline,
            client.stream(
                "GET", url.reveal(), headers=headers, extensions={"trace": deadline.trace}
            ) as response,
        ):
            deadline.met()
            refused = proxy is not None and response.status_code == 407
            if not refused:
                yield response
    except httpx.ProxyError as error:
        # A refused tunnel is an error of its own, whose message repeats the status line.
        if not str(error).startswith("407"):
            raise
        refused = True
    except httpx.HTTPError:
        if not deadline.passed:
            raise
    if deadline.passed:
        raise DownloadIncompleteError(f"its host did not respond in {TIMEOUT:g} s")
    if refused and proxy is not None:
        raise _unauthorised(proxy)


class _HeadDeadline:
    """A deadline for the start of a response, even if the host sends single bytes.

    httpx limits each read separately, so a host that sends a byte now and then never times out.
    """

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._hang_up)
        self._timer.daemon = True

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note the connection in use; the trace callback of an httpx request."""
        about = getattr(info.get("return_value"), "get_extra_info", None)
        if event.endswith(".complete") and about is not None:
            self._socket = about("socket")

    def met(self) -> None:
        """Note that the response has started."""
        self._timer.cancel()

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self._timer.cancel()

    def _hang_up(self) -> None:
        self.passed = True
        if self._socket is not None:
            with contextlib.suppress(OSError):
                # Not the method of the SSL socket, from which another thread is reading.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _anonymous_client(
    config: Config, proxy: ProxySettings | None, *, encrypted: bool
) -> httpx.Client:
    """Return a client without key and cookies: the host only gets the signature."""
    # Reading the authorities takes longer than fetching a small archive; a bare context trusts no certificate.
    context = tls_context(config) if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        return httpx.Client(
            timeout=TIMEOUT,
            follow_redirects=False,
            # The proxy is resolved already, and .netrc credentials are not for the host.
            trust_env=False,
            proxy=httpx_proxy(config, proxy),
            verify=context,
        )
    except ImportError:
        assert proxy is not None  # noqa: S101 - only proxies import a package
    raise ConfigurationError(
        f"downloads through {proxy.address} ({proxy.source}) need a package that is not installed: "
        "pip install 'httpx[socks]'"
    )


def _refused_certificate(error: Exception, config: Config) -> TransportError | None:
    """Return the error of a certificate that cannot be verified, which no further attempt mends."""
    if not isinstance(error, httpx.ConnectError) or not any(
        isinstance(cause, ssl.SSLCertVerificationError) for cause in causes_of(error)
    ):
        return None
    url = Secret(str(error.request.url))
    where = through(_origin(url), proxy_for_url(config, url.reveal()))
    return transport_error(Failure.TLS, str(error), where)


def _unauthorised(proxy: ProxySettings) -> ProxyError:
    return ProxyError(
        f"the proxy {proxy.address} ({proxy.source}) asks for a user name and a password (HTTP 407); "
        "put them into its URL, or into proxy_headers",
        retryable=False,
    )


def _take(
    response: httpx.Response, partial: Partial, progress: Progress | None, source: Source
) -> None:
    """Write the received bytes after the existing ones, and check that the file is complete."""
    if response.status_code == 416:  # the file was complete already
        _check_complete(partial)
        return
    have = _first_byte(response, partial)
    partial.note(response.headers, fresh=have == 0)
    length = response.headers.get("content-length", "")
    total = have + int(length) if length.isdigit() else None
    _check_size(total or have, source.most_bytes, partial)
    _check_space(partial, have, total)
    looked = have
    began, came = source.clock.now(), 0
    with partial.file.open("ab" if have else "wb") as file:
        # Undecoded: a gzipped archive is extracted later, and its length is that of the compressed bytes.
        for chunk in response.iter_raw():
            file.write(chunk)
            # What came must outlive this process; Python 3.14 would keep up to 128 KiB in memory.
            file.flush()
            have += len(chunk)
            came += len(chunk)
            if came >= LEAST_PROGRESS:
                began, came = source.clock.now(), 0
            elif source.clock.now() - began > TIMEOUT:
                raise DownloadIncompleteError(f"only {came} bytes were received in {TIMEOUT:g} s")
            if total is None:
                _check_size(have, source.most_bytes, partial)
                if have - looked >= SPACE_STEP:
                    looked = have
                    _check_space(partial, have, have + SPACE_STEP)
            if progress is not None:
                progress(have, total)
    if total is not None and have != total:
        partial.forget()
        raise DownloadIncompleteError(f"{have} of {total} bytes were received")
    _check_complete(partial)


def _check_complete(partial: Partial) -> None:
    if not partial.matches():
        partial.forget()
        raise DownloadIncompleteError("the checksum announced by the host does not match")


def _first_byte(response: httpx.Response, partial: Partial) -> int:
    """Return where in the archive the response starts; it must be the end of the existing bytes."""
    if response.status_code == 200:
        return 0
    have = partial.size()
    found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    # A host may support Range but not If-Range, and send a part of another version.
    same = response.headers.get("etag", partial.etag) == partial.etag
    if not found or int(found[1]) != have or not same:
        partial.forget()
        raise DownloadIncompleteError("the archive's host sent a part that was not requested")
    return have


def _check_status(response: httpx.Response, origin: str, partial: Partial) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    reason = f"the archive's host {urlsplit(origin).hostname} responded with HTTP {status}"
    if status == 416:
        found = _UNSATISFIED.fullmatch(response.headers.get("content-range", ""))
        same = response.headers.get("etag", partial.etag) == partial.etag
        if found and same and 0 < partial.size() == int(found[1]):
            return
        partial.forget()  # the existing bytes are of another version
    # Expired signatures are renewed, and an overloaded host may recover.
    may_repeat = status in (403, 408, 410, 416, 425, 429) or status >= 500
    word = response.headers.get("x-should-retry", "").lower()
    if word == "true" or (may_repeat and word != "false"):
        wait = retry_after_seconds(response.headers)
        raise DownloadIncompleteError(reason, status_code=status, retry_after=wait)
    raise CheckpointError(f"{reason}; does the checkpoint still exist?", status_code=status)


def _check_size(size: int, most_bytes: int, partial: Partial) -> None:
    if size > most_bytes:
        partial.forget()
        raise UnsafeArchiveError(
            f"the archive is larger than {most_bytes} bytes, which no checkpoint should be; pass "
            "limits= if this one is"
        )


def _check_space(partial: Partial, have: int, total: int | None) -> None:
    if total is None:
        return
    # The archive and its extracted files are briefly on the disk together.
    missing = (2 * total if partial.expands else total) - have
    folder = partial.file.parent
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise CheckpointError(
            f"the checkpoint needs {missing} more bytes, but {folder} has {free} free"
        )


def _check_url(url: Secret, config: Config, *, encrypted: bool) -> bool:
    """Refuse an invalid URL, or one less secure than the connection so far; return whether it is https.

    Only a server on this machine may redirect to this machine without encryption.
    """
    origin = urlsplit(_origin(url))
    if origin.scheme not in {"http", "https"} or not origin.hostname:
        raise CheckpointError("the URL of the server's archive is not http(s)")
    if urlsplit(url.reveal()).username is not None:
        raise CheckpointError("the archive's URL has a user name; refused")
    within = config.is_loopback and is_loopback_host(origin.hostname)
    if origin.scheme == "http" and not within and (encrypted or not config.allow_insecure):
        raise CheckpointError(
            f"the server points to {origin.hostname} without encryption for the archive; refused"
        )
    return origin.scheme == "https"


def _origin(url: Secret) -> str:
    """Return scheme, host and port of a URL, or "" if it is invalid."""
    try:
        httpx.URL(url.reveal())
    except (TypeError, httpx.InvalidURL):
        return ""
    parts = split_url(url.reveal())
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts else ""
