"""Bring an archive from its signed URL to the disk, whole or not at all."""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Callable, Iterator
from urllib.parse import urlsplit

import httpx
from attrs import frozen

from tinkex.checkpoints.partial import Partial
from tinkex.checkpoints.told_download import told_download
from tinkex.clock import Clock
from tinkex.config import Config, is_loopback_host
from tinkex.errors import CheckpointError, DownloadIncompleteError, UnsafeArchiveError
from tinkex.rest_checkpoints import REDIRECTS
from tinkex.transport.log_redaction import without_queries
from tinkex.transport.tls import tls_context

Progress = Callable[[int, int | None], None]

TIMEOUT = 60.0
ATTEMPTS = 5
FIRST_PAUSE = 0.5
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
        sign: Returns a URL of it that is good for a while.
        config: The settings of the way to the server.
        clock: What pauses are waited by.
        most_bytes: More than these are no checkpoint's: a host that sends on and on is left.
    """

    label: str
    sign: Callable[[], str]
    config: Config
    clock: Clock
    most_bytes: int


def fetch(source: Source, partial: Partial, progress: Progress | None) -> None:
    """Stream a file to disk; a connection that breaks is taken up where it broke.

    Raises:
        CheckpointError: The file's host refuses, or the disk is too small.
        UnsafeArchiveError: The file is larger than any checkpoint.
        DownloadIncompleteError: The file did not come whole, as often as it was tried.
    """
    for attempt in range(1, ATTEMPTS + 1):
        # Signed anew for each attempt: a signature may expire in the middle.
        url = source.sign()
        try:
            with (
                without_queries(),
                told_download(url, partial.file, source.clock, source.config.http_pool),
                _answer(source.config, url, partial) as response,
            ):
                _take(response, partial, progress, source.most_bytes)
        except httpx.InvalidURL:
            raise CheckpointError("the archive's host redirects to no URL") from None
        except (httpx.HTTPError, DownloadIncompleteError) as error:
            if attempt == ATTEMPTS:
                # httpx puts no URL into its messages, and the URL's signature is secret.
                raise DownloadIncompleteError(
                    f"the download of {source.label} broke {ATTEMPTS} times, the last time with "
                    f"{type(error).__name__} ({error}); call download again"
                ) from None
        else:
            return
        source.clock.sleep(FIRST_PAUSE * 2 ** (attempt - 1))


@contextlib.contextmanager
def _answer(config: Config, url: str, partial: Partial) -> Iterator[httpx.Response]:
    """Ask for what is missing of the archive, following redirects by hand."""
    headers = {"Accept-Encoding": "identity"}
    have = partial.size()
    if have and partial.etag:
        headers |= {"Range": f"bytes={have}-", "If-Range": partial.etag}
    encrypted = urlsplit(config.base_url).scheme == "https"
    for _ in range(MOST_REDIRECTS + 1):
        encrypted = _check_url(url, config, encrypted=encrypted)
        with (
            _anonymous_client(config, url) as client,
            client.stream("GET", url, headers=headers) as response,
        ):
            if response.status_code not in REDIRECTS:
                _check_status(response, url, partial)
                yield response
                return
            url = str(httpx.URL(url).join(response.headers.get("location", "")))
    raise CheckpointError(f"the archive's host redirects more than {MOST_REDIRECTS} times")


def _anonymous_client(config: Config, url: str) -> httpx.Client:
    """Return a client without key and cookies: the signature is all that the host may see."""
    loopback = is_loopback_host(urlsplit(url).hostname or "")
    return httpx.Client(
        timeout=TIMEOUT,
        follow_redirects=False,
        trust_env=not loopback,
        proxy=config.proxy.reveal() if config.proxy and not loopback else None,
        verify=tls_context(config),
    )


def _take(
    response: httpx.Response, partial: Partial, progress: Progress | None, most_bytes: int
) -> None:
    """Write what comes behind what is there, and check that it is all there."""
    if response.status_code == 416:  # all of it was there already
        _check_whole(partial)
        return
    have = _first_byte(response, partial)
    partial.note(response.headers, fresh=have == 0)
    length = response.headers.get("content-length", "")
    total = have + int(length) if length.isdigit() else None
    _check_size(total or have, most_bytes, partial)
    _check_space(partial, have, total)
    looked = have
    with partial.file.open("ab" if have else "wb") as file:
        # As it is sent: a gzipped archive is unpacked later, and its length counts packed bytes.
        # In pieces as they come: gathered into larger ones, a cut would lose the last.
        for chunk in response.iter_raw():
            file.write(chunk)
            have += len(chunk)
            if total is None:
                _check_size(have, most_bytes, partial)
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


def _check_status(response: httpx.Response, url: str, partial: Partial) -> None:
    status = response.status_code
    if status in (200, 206):
        return
    said = f"the archive's host {urlsplit(url).hostname} answered with HTTP {status}"
    if status == 416:
        found = _UNSATISFIED.fullmatch(response.headers.get("content-range", ""))
        same = response.headers.get("etag", partial.etag) == partial.etag
        if found and same and 0 < partial.size() == int(found[1]):
            return
        partial.forget()  # what is there does not fit the archive any more
    # An expired signature is signed anew, and an overloaded host may recover.
    if status in (403, 408, 410, 416, 425, 429) or status >= 500:
        raise DownloadIncompleteError(said, status_code=status)
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


def _check_url(url: str, config: Config, *, encrypted: bool) -> bool:
    """Refuse a URL that is none, or one less safe than the way so far; return whether it is https.

    Only a server on this machine may point to this machine without encryption.
    """
    try:
        scheme, host = urlsplit(url).scheme, urlsplit(url).hostname
        httpx.URL(url)
    except (ValueError, httpx.InvalidURL):
        scheme, host = "", None
    if scheme not in {"http", "https"} or not host:
        raise CheckpointError("the server's archive is at no http(s) URL")
    if urlsplit(url).username is not None:
        raise CheckpointError("the archive's URL carries a user name; refused")
    within = config.is_loopback and is_loopback_host(host)
    if scheme == "http" and not within and (encrypted or not config.allow_insecure):
        raise CheckpointError(
            f"the server points to {host} without encryption for the archive; refused"
        )
    return scheme == "https"
