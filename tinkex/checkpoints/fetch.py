"""Bring an archive from its signed URL to the disk, whole or not at all."""

from __future__ import annotations

import contextlib
import re
import shutil
import socket
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
from tinkex._core.config import Config
from tinkex._core.proxies import ProxySettings, proxy_for_url
from tinkex._core.response import REDIRECTS
from tinkex._core.retry import (
    Retries,
    RetryBudget,
    RetryPolicy,
    full_jitter,
    retry_after_seconds,
)
from tinkex._core.tls import tls_context
from tinkex.checkpoints.instrumentation import told_download
from tinkex.checkpoints.partial import Partial
from tinkex.errors import (
    CheckpointError,
    ConfigurationError,
    DownloadIncompleteError,
    ProxyError,
    UnsafeArchiveError,
)

Progress = Callable[[int, int | None], None]

TIMEOUT = 60.0
# Attempts and seconds without progress; whatever makes progress has as many again.
POLICY = RetryPolicy(max_attempts=5, deadline=300.0)
# Bytes that count as progress. A host that brings less in TIMEOUT seconds is as good as silent.
LEAST_PROGRESS = 64 * 1024
MOST_REDIRECTS = 5
# Without an announced length, this many bytes are written between two looks at the free space.
SPACE_STEP = 256 * 1024**2
_CONTENT_RANGE = re.compile(r"bytes (\d+)-\d+/(\d+|\*)")
_UNSATISFIED = re.compile(r"bytes \*/(\d+)")


@frozen
class Source:
    """Say where a file comes from.

    Attributes:
        label: What errors call it.
        sign: Returns a URL of it that is good for a while, and as good as a key that long.
        config: The settings of the way to the server.
        clock: What pauses are waited by.
        most_bytes: More than these are no checkpoint's: a host that sends on and on is left.
        jitter: Draws each wait from its upper end.
    """

    label: str
    sign: Callable[[], Secret | str]
    config: Config
    clock: Clock
    most_bytes: int
    jitter: Callable[[float], float] = full_jitter

    def retries(self) -> Retries:
        """Return the attempts that there are until something has come."""
        return Retries(POLICY, RetryBudget(), self.clock, self.jitter)


def fetch(source: Source, partial: Partial, progress: Progress | None) -> None:
    """Stream a file to disk; a connection that breaks is taken up where it broke.

    Raises:
        CheckpointError: The file's host refuses, or the disk is too small.
        UnsafeArchiveError: The file is larger than any checkpoint.
        DownloadIncompleteError: The file did not come whole, as often as it was tried.
        ProxyError: The proxy on the way asks for another password.
    """
    best, broken, retries = partial.size(), 0, source.retries()
    while True:
        # Signed anew for each attempt: a signature may expire in the middle.
        url = Secret.of(source.sign()) or Secret("")
        try:
            with (
                without_queries(),
                told_download(_origin(url), partial.file, source.clock, source.config.http_pool),
                _answer(source.config, url, partial) as response,
            ):
                _take(response, partial, progress, source)
            return
        except httpx.InvalidURL:
            raise CheckpointError("the archive's host redirects to no URL") from None
        except (httpx.HTTPError, DownloadIncompleteError) as error:
            said = f"{type(error).__name__} ({error})"
            retry_after = getattr(error, "retry_after", None)
        broken += 1
        if partial.size() >= best + LEAST_PROGRESS:
            best, retries = partial.size(), source.retries()
        wait = retries.next_wait(retry_after=retry_after)
        if wait is None:
            # httpx puts no URL into its messages, and the URL's signature is secret.
            times = "once" if broken == 1 else f"{broken} times"
            raise DownloadIncompleteError(
                f"the download of {source.label} broke {times}, the last time with {said}; "
                f"{retries.refusal}: call download again"
            )
        source.clock.sleep(wait)


@contextlib.contextmanager
def _answer(config: Config, url: Secret, partial: Partial) -> Iterator[httpx.Response]:
    """Ask for what is missing of the archive, following redirects by hand."""
    headers = {"Accept-Encoding": "identity"}
    have = partial.size()
    if have and partial.etag:
        headers |= {"Range": f"bytes={have}-", "If-Range": partial.etag}
    encrypted = urlsplit(config.base_url).scheme == "https"
    for _ in range(MOST_REDIRECTS + 1):
        encrypted = _check_url(url, config, encrypted=encrypted)
        proxy = proxy_for_url(config, url.reveal())
        with (
            _anonymous_client(config, proxy) as client,
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
        # A tunnel that is refused is an error of its own, which repeats the status line.
        if not str(error).startswith("407"):
            raise
        refused = True
    except httpx.HTTPError:
        if not deadline.passed:
            raise
    if deadline.passed:
        raise DownloadIncompleteError(f"its host did not answer in {TIMEOUT:g} s")
    if refused and proxy is not None:
        raise _unauthorised(proxy)


class _HeadDeadline:
    """Hang up on a host whose response has not begun in time, even if it drips.

    httpx bounds each read alone, and a host that sends a byte now and then is never late by that.
    """

    def __init__(self, seconds: float) -> None:
        self.passed = False
        self._socket: socket.socket | None = None
        self._timer = threading.Timer(seconds, self._hang_up)
        self._timer.daemon = True

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Note the connection in use; the trace of an httpx request."""
        about = getattr(info.get("return_value"), "get_extra_info", None)
        if event.endswith(".complete") and about is not None:
            self._socket = about("socket")

    def met(self) -> None:
        """Note that the response has begun."""
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
                # Not the method of an SSL socket, which another thread is reading from.
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


def _anonymous_client(config: Config, proxy: ProxySettings | None) -> httpx.Client:
    """Return a client without key and cookies: the signature is all that the host may see."""
    through = None
    if proxy is not None:
        auth = proxy.auth and (proxy.auth[0].reveal(), proxy.auth[1].reveal())
        through = httpx.Proxy(proxy.address, auth=auth, headers=dict(proxy.headers))
        del auth
    try:
        return httpx.Client(
            timeout=TIMEOUT,
            follow_redirects=False,
            # The proxy is found already, and what .netrc says of the host is not for it.
            trust_env=False,
            proxy=through,
            verify=tls_context(config),
        )
    except ImportError:
        assert proxy is not None  # noqa: S101 - nothing else is imported
    raise ConfigurationError(
        f"downloads through {proxy.address} ({proxy.source}) need a package that is not installed: "
        "pip install 'httpx[socks]'"
    )


def _unauthorised(proxy: ProxySettings) -> ProxyError:
    return ProxyError(
        f"the proxy {proxy.address} ({proxy.source}) asks for a user name and a password (HTTP 407); "
        "put them into its URL, or into proxy_headers",
        retryable=False,
    )


def _take(
    response: httpx.Response, partial: Partial, progress: Progress | None, source: Source
) -> None:
    """Write what comes behind what is there, and check that it is all there."""
    if response.status_code == 416:  # all of it was there already
        _check_whole(partial)
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
        # As it is sent: a gzipped archive is unpacked later, and its length counts packed bytes.
        # In pieces as they come: gathered into larger ones, a cut would lose the last.
        for chunk in response.iter_raw():
            file.write(chunk)
            have += len(chunk)
            came += len(chunk)
            if came >= LEAST_PROGRESS:
                began, came = source.clock.now(), 0
            elif source.clock.now() - began > TIMEOUT:
                raise DownloadIncompleteError(f"only {came} bytes came in {TIMEOUT:g} s")
            if total is None:
                _check_size(have, source.most_bytes, partial)
                if have - looked >= SPACE_STEP:
                    looked = have
                    _check_space(partial, have, have + SPACE_STEP)
            if progress is not None:
                progress(have, total)
    if total is not None and have != total:
        partial.forget()
        raise DownloadIncompleteError(f"{have} of {total} bytes came")
    _check_whole(partial)


def _check_whole(partial: Partial) -> None:
    if not partial.matches():
        partial.forget()
        raise DownloadIncompleteError("the checksum that the host announced does not match")


def _first_byte(response: httpx.Response, partial: Partial) -> int:
    """Return where in the archive the answer begins; that must be where the file ends."""
    if response.status_code == 200:
        return 0
    have = partial.size()
    found = _CONTENT_RANGE.fullmatch(response.headers.get("content-range", ""))
    # A host may know Range and not If-Range, and send a part of another version.
    same = response.headers.get("etag", partial.etag) == partial.etag
    if not found or int(found[1]) != have or not same:
        partial.forget()
        raise DownloadIncompleteError("the archive's host sent another part than was asked for")
    return have


def _check_status(response: httpx.Response, origin: str, partial: Partial) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    said = f"the archive's host {urlsplit(origin).hostname} answered with HTTP {status}"
    if status == 416:
        found = _UNSATISFIED.fullmatch(response.headers.get("content-range", ""))
        same = response.headers.get("etag", partial.etag) == partial.etag
        if found and same and 0 < partial.size() == int(found[1]):
            return
        partial.forget()  # what is there does not fit the archive any more
    # An expired signature is signed anew, and an overloaded host may recover.
    may_repeat = status in (403, 408, 410, 416, 425, 429) or status >= 500
    word = response.headers.get("x-should-retry", "").lower()
    if word == "true" or (may_repeat and word != "false"):
        wait = retry_after_seconds(response.headers)
        raise DownloadIncompleteError(said, status_code=status, retry_after=wait)
    raise CheckpointError(f"{said}; does the checkpoint still exist?", status_code=status)


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
    # An archive and what it unpacks to are on the disk together for a moment.
    missing = (2 * total if partial.expands else total) - have
    folder = partial.file.parent
    free = shutil.disk_usage(folder).free
    if missing > free:
        raise CheckpointError(
            f"the checkpoint needs {missing} more bytes, and {folder} has {free} free"
        )


def _check_url(url: Secret, config: Config, *, encrypted: bool) -> bool:
    """Refuse a URL that is none, or one less safe than the way so far; return whether it is https.

    Only a server on this machine may point to this machine without encryption.
    """
    origin = urlsplit(_origin(url))
    if origin.scheme not in {"http", "https"} or not origin.hostname:
        raise CheckpointError("the server's archive is at no http(s) URL")
    if urlsplit(url.reveal()).username is not None:
        raise CheckpointError("the archive's URL carries a user name; refused")
    within = config.is_loopback and is_loopback_host(origin.hostname)
    if origin.scheme == "http" and not within and (encrypted or not config.allow_insecure):
        raise CheckpointError(
            f"the server points to {origin.hostname} without encryption for the archive; refused"
        )
    return origin.scheme == "https"


def _origin(url: Secret) -> str:
    """Return scheme, host and port of a URL, "" if it is none."""
    try:
        httpx.URL(url.reveal())
    except (TypeError, httpx.InvalidURL):
        return ""
    parts = split_url(url.reveal())
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}" if parts else ""
