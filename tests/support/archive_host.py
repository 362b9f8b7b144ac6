"""A host of signed archives on loopback that can be told to misbehave."""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

from attrs import define, field

_RANGE = re.compile(r"bytes=(\d+)-")


@define
class ArchiveHost:
    """Serve one archive, with ranges and an ETag.

    Attributes:
        content: The archive.
        cuts: For each coming answer, after how many bytes it is cut; None and beyond: not at all.
        ranges: Whether Range is understood.
        etag: Sent with each answer; None sends none.
        announce: What Content-Length says; "honest", "none", or a number. With "chunked" the answer
            comes in chunks, which a cut leaves without their end.
        chunk_size: Bytes of a chunk; 0: all there is in one.
        endless: Whether the content is sent again and again, until the client hangs up.
        statuses: For each coming request, a status to answer it with instead; None for the archive.
        status_headers: More headers of these answers.
        location: Where redirects among the statuses point.
        wrong_range: Whether a part is sent from elsewhere than was asked for.
        heeds_if_range: Whether a part is sent only of the version that was asked for.
        encoding: What Content-Encoding says.
        unsatisfied: What Content-Range says with status 416.
        extra: More headers of each answer with the archive.
    """

    content: bytes
    cuts: list[int | None] = field(factory=list)
    ranges: bool = True
    etag: str | None = None
    announce: str | int = "honest"
    statuses: list[int | None] = field(factory=list)
    location: str = "/moved"
    status_headers: dict[str, str] = field(factory=dict)
    wrong_range: bool = False
    encoding: str | None = None
    heeds_if_range: bool = True
    unsatisfied: str = ""
    chunk_size: int = 0
    endless: bool = False
    extra: dict[str, str] = field(factory=dict)
    url: str = ""
    requests: list[tuple[str, dict[str, str]]] = field(factory=list)

    def __attrs_post_init__(self) -> None:
        self.etag = f'"{hashlib.sha256(self.content).hexdigest()[:16]}"'

    def headers(self, name: str) -> list[str | None]:
        """Return a header of each request, in order."""
        return [headers.get(name) for _, headers in self.requests]

    def answer(self, handler: http.server.BaseHTTPRequestHandler) -> None:
        headers = {name.lower(): value for name, value in handler.headers.items()}
        self.requests.append((handler.path, headers))
        status = self.statuses.pop(0) if self.statuses else None
        if status is not None:
            handler.send_response(status)
            if 300 <= status < 400:
                handler.send_header("Location", self.location)
                handler.send_header("Set-Cookie", "id=cookie-secret; Path=/")
            if status == 416 and self.unsatisfied:
                handler.send_header("Content-Range", self.unsatisfied)
            for name, value in self.status_headers.items():
                handler.send_header(name, value)
            handler.send_header("Content-Length", "0")
            handler.end_headers()
            return
        asked = _RANGE.fullmatch(headers.get("range", "")) if self.ranges else None
        same = not self.heeds_if_range or headers.get("if-range", self.etag) == self.etag
        fits = asked is not None and same
        first = int(asked[1]) if asked and fits else 0
        self._send(handler, 206 if fits else 200, first)

    def _send(self, handler: http.server.BaseHTTPRequestHandler, status: int, first: int) -> None:
        body = self.content[first:]
        handler.send_response(status)
        if status == 206:
            said = first + 1 if self.wrong_range else first
            handler.send_header(
                "Content-Range", f"bytes {said}-{len(self.content) - 1}/{len(self.content)}"
            )
        if self.etag:
            handler.send_header("ETag", self.etag)
        for name, value in self.extra.items():
            handler.send_header(name, value)
        if self.encoding:
            handler.send_header("Content-Encoding", self.encoding)
        if self.announce == "chunked":
            handler.send_header("Transfer-Encoding", "chunked")
        elif self.announce != "none":
            length = len(body) if self.announce == "honest" else self.announce
            handler.send_header("Content-Length", str(length))
        handler.send_header("Connection", "close")
        handler.end_headers()
        cut = self.cuts.pop(0) if self.cuts else None
        sent = body[:cut] if cut is not None else body
        if self.announce == "chunked":
            size = self.chunk_size or max(len(sent), 1)
            parts = [sent[at : at + size] for at in range(0, len(sent), size)]
            sent = b"".join(b"%x\r\n%b\r\n" % (len(part), part) for part in parts)
            sent += b"" if cut is not None else b"0\r\n\r\n"
        with contextlib.suppress(ConnectionError):
            handler.wfile.write(sent)
            while self.endless:
                handler.wfile.write(body)
        handler.close_connection = True


@contextmanager
def archive_host(content: bytes) -> Iterator[ArchiveHost]:
    """Serve an archive on loopback as long as the block runs."""
    host = ArchiveHost(content)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            host.answer(self)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    host.url = f"http://127.0.0.1:{server.server_port}"
    assert urlsplit(host.url).port
    try:
        yield host
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
