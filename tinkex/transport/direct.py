"""Carry requests over sockets of our own: what an ordinary client needs of HTTP, at a small cost."""

from __future__ import annotations

import re
import select
import socket
import time
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING
from urllib.parse import urlencode, urlsplit

from tinkex.config import Config
from tinkex.errors import ValidationError
from tinkex.transport.answer import Broken, Reply
from tinkex.transport.body import Body, size_of
from tinkex.transport.credentials import Credentials
from tinkex.transport.failures import Failure, printable, transport_error
from tinkex.transport.http11 import AnswerReader, ProtocolError, Unpacker, UnpackError

if TYPE_CHECKING:
    import ssl

CONNECT_TIMEOUT = 5.0
MOST_IDLE = 64
# Servers close connections that nobody uses; a request that must not be sent twice takes no chance.
IDLE_SECONDS = 50.0
IDLE_SECONDS_UNKEYED = 4.0
SMALL_BODY = 64 * 1024
READ_SIZE = 256 * 1024

_BAD_HEADER = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_PLAIN_URL = re.compile(r"https?://[A-Za-z0-9._~!$&'()*+,;=:@%/\[\]-]+")


def can_carry(base_url: str) -> bool:
    """Tell whether a URL needs no rewriting before it goes on the wire."""
    return _PLAIN_URL.fullmatch(base_url) is not None


class _FailedError(Exception):
    """An exchange brought no answer; `failure` says in which way."""

    def __init__(self, failure: Failure, text: str, *, was_sent: bool, may_resend: bool = False):
        super().__init__(text)
        self.failure = failure
        self.was_sent = was_sent
        self.may_resend = may_resend


class _Connection:
    """One connection to the server, used by one exchange at a time."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self.idle_since = 0.0
        self.was_used = False

    def is_usable(self, longest_idle: float) -> bool:
        """Tell whether the server still waits for a request on it."""
        if time.monotonic() - self.idle_since > longest_idle:
            return False
        # Nothing is owed, so all that can be read is the end, or what nobody asked for.
        return not _is_readable(self.sock)

    def send(self, head: bytes, content: Body | None) -> None:
        if content is not None and not isinstance(content, bytes):
            self.sock.sendall(head)
            for piece in content:
                self.sock.sendall(piece)
            return
        if content is None or len(content) <= SMALL_BODY:
            self.sock.sendall(head + content if content else head)
            return
        self.sock.sendall(head)
        rest = memoryview(content)
        while rest:
            rest = rest[self.sock.send(rest[:READ_SIZE]) :]

    def close(self) -> None:
        self.sock.close()


class Direct:
    """Send requests over keep-alive connections to one server.

    Args:
        config: Where to.
        credentials: What goes on each request at the last moment.
        fixed_headers: What goes on each request.
        context: How certificates are checked; None for a server without TLS.
    """

    def __init__(
        self,
        config: Config,
        credentials: Credentials,
        fixed_headers: Mapping[str, str],
        context: ssl.SSLContext | None,
    ) -> None:
        url = urlsplit(config.base_url)
        self.fixed_headers = fixed_headers
        self._where = config.base_url
        self._credentials = credentials
        self._context = context
        self._host = url.hostname or ""
        self._port = url.port or (443 if url.scheme == "https" else 80)
        self._path = url.path
        self._authority = url.netloc
        self._query = dict(config.default_query)
        self._timeout = config.timeout
        self._idle: deque[_Connection] = deque()
        self._active: set[_Connection] = set()
        self._closed = False
        self._blocks: dict[tuple[str, ...], str] = {}
        # A client that nobody closes leaves no socket behind either, nor a warning about one.
        weakref.finalize(self, _close_all, self._idle)

    def exchange(
        self,
        method: str,
        path: str,
        params: Mapping[str, object],
        headers: Mapping[str, str],
        content: Body | None,
        seconds: float | None,
        *,
        may_repeat: bool,
    ) -> Reply | Broken:
        """Send a request and return the answer to it, or why there is none."""
        try:
            head = self._head(method, path, params, headers, content)
            try:
                return self._exchange(method, head, content, seconds, may_repeat=may_repeat)
            except _FailedError as error:
                if not (may_repeat and error.may_resend):
                    raise
            return self._exchange(method, head, content, seconds, may_repeat=may_repeat, fresh=True)
        except _FailedError as error:
            return self._broken(error)

    def _exchange(
        self,
        method: str,
        head: bytes,
        content: Body | None,
        seconds: float | None,
        *,
        may_repeat: bool,
        fresh: bool = False,
    ) -> Reply:
        reader = AnswerReader(method)
        with self._connection(reader, seconds, may_repeat=may_repeat, fresh=fresh) as connection:
            for _ in self._pieces(connection, reader, head, content):
                pass
        return Reply(reader.status, reader.headers, _unpacked(reader), reader.reason)

    @contextmanager
    def stream(
        self,
        method: str,
        path: str,
        params: Mapping[str, object],
        headers: Mapping[str, str],
        content: Body | None,
        seconds: float | None,
    ) -> Iterator[_Stream | Reply | Broken]:
        """Send a request and hand out its answer while it comes; an error status comes whole."""
        head = self._head(method, path, params, headers, content)
        reader = AnswerReader(method)
        with self._connection(reader, seconds, may_repeat=False, fresh=False) as connection:
            pieces = self._pieces(connection, reader, head, content)
            next(pieces, None)
            if 200 <= reader.status < 300:
                yield _Stream(reader, pieces)
                return
            for _ in pieces:
                pass
        yield Reply(reader.status, reader.headers, _unpacked(reader), reader.reason)

    def failure_of(self, error: Exception) -> Broken | None:
        """Return what an error of a stream means, if it is one of ours."""
        return self._broken(error) if isinstance(error, _FailedError) else None

    def close(self) -> None:
        """Close every connection, those in use too."""
        self._closed = True
        _close_all(self._idle)
        for connection in list(self._active):
            _shut_down(connection.sock)

    def _broken(self, error: _FailedError) -> Broken:
        text = self._credentials.redact(printable(str(error)))
        return Broken(transport_error(error.failure, text, self._where), error.was_sent)

    def _pieces(
        self, connection: _Connection, reader: AnswerReader, head: bytes, content: Body | None
    ) -> Iterator[None]:
        """Send, then stop after the head and after each read until the answer is whole."""
        try:
            # A server that refuses a large body answers before it has read it, and closes.
            with suppress(BrokenPipeError, ConnectionResetError):
                connection.send(head, content)
            while not reader.is_complete:
                data = connection.sock.recv(READ_SIZE)
                if data:
                    reader.feed(data)
                else:
                    reader.feed_end()
                if reader.status:
                    yield
        except ValidationError:
            # The body that is sent is not what it was when the request was made.
            raise
        except TimeoutError:
            failed = Failure.TIMEOUT, "ReadTimeout"
        except (OSError, ProtocolError, ValueError) as error:
            is_tls = type(error).__name__.startswith("SSLCert")
            failed = (Failure.TLS if is_tls else Failure.BROKEN), str(error)
        else:
            return
        is_gone = failed[0] is Failure.BROKEN and connection.was_used and not reader.began
        raise _FailedError(failed[0], failed[1], was_sent=True, may_resend=is_gone)

    @contextmanager
    def _connection(
        self, reader: AnswerReader, seconds: float | None, *, may_repeat: bool, fresh: bool
    ) -> Iterator[_Connection]:
        seconds = seconds or self._timeout
        connection = None if fresh else self._take(may_repeat=may_repeat)
        if connection is None:
            connection = self._connect(min(CONNECT_TIMEOUT, seconds))
        self._active.add(connection)
        try:
            if self._closed:
                raise _FailedError(Failure.BROKEN, "it was closed", was_sent=False)
            connection.sock.settimeout(seconds)
            yield connection
        finally:
            self._active.discard(connection)
            if reader.is_complete and reader.may_reuse:
                self._keep(connection)
            else:
                connection.close()

    def _take(self, *, may_repeat: bool) -> _Connection | None:
        longest = IDLE_SECONDS if may_repeat else IDLE_SECONDS_UNKEYED
        while True:
            try:
                connection = self._idle.pop()
            except IndexError:
                return None
            if connection.is_usable(longest):
                return connection
            connection.close()

    def _keep(self, connection: _Connection) -> None:
        if len(self._idle) >= MOST_IDLE:
            connection.close()
            return
        connection.was_used = True
        connection.idle_since = time.monotonic()
        self._idle.append(connection)
        if self._closed:
            self.close()

    def _connect(self, seconds: float) -> _Connection:
        raw: socket.socket | None = None
        try:
            raw = socket.create_connection((self._host, self._port), seconds)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._context is None:
                return _Connection(raw)
            return _Connection(self._context.wrap_socket(raw, server_hostname=self._host))
        except socket.gaierror as error:
            failed = Failure.RESOLVE, str(error)
        except (OSError, ValueError) as error:
            # ssl stays unloaded where nothing is encrypted.
            is_tls = type(error).__module__ == "ssl"
            failed = (Failure.TLS if is_tls else Failure.CONNECT), str(error)
        if raw is not None:
            raw.close()
        raise _FailedError(failed[0], failed[1], was_sent=False)

    def _head(
        self,
        method: str,
        path: str,
        params: Mapping[str, object],
        headers: Mapping[str, str],
        content: Body | None,
    ) -> bytes:
        target = self._path + path
        if params or self._query:
            query = {**self._query, **{name: _parameter(value) for name, value in params.items()}}
            target += "?" + urlencode(query)
        replaced = tuple(name for name in headers if name in self.fixed_headers)
        block = self._blocks.get(replaced)
        if block is None:
            block = self._blocks[replaced] = self._block(replaced)
        lines = [f"{method} {target} HTTP/1.1\r\n{block}"]
        for name, value in (*headers.items(), *self._credentials.revealed()):
            lines.append(_line(name, value))
        if content is not None or method not in ("GET", "HEAD"):
            lines.append(f"content-length: {size_of(content)}\r\n")
        lines.append("\r\n")
        if not target.isascii() or " " in target:
            raise _FailedError(Failure.REQUEST, "its path cannot be in a URL", was_sent=False)
        return "".join(lines).encode("utf-8", "replace")

    def _block(self, replaced: tuple[str, ...]) -> str:
        left = {n: v for n, v in self.fixed_headers.items() if n not in replaced}
        left.setdefault("host", self._authority)
        left.setdefault("accept-encoding", "gzip, deflate")
        return "".join(_line(name, value) for name, value in left.items())


class _Stream:
    """Hand out an answer's body while it is still coming."""

    def __init__(self, reader: AnswerReader, pieces: Iterator[None]) -> None:
        self.headers = reader.headers
        self.status_code = reader.status
        self._reader = reader
        self._pieces = pieces

    def iter_bytes(self) -> Iterator[bytes]:
        """Yield the body, unpacked, as it comes."""
        unpacker = Unpacker(self.headers.get("content-encoding", ""))
        try:
            while True:
                piece = unpacker.feed(self._reader.take())
                if piece:
                    yield piece
                if self._reader.is_complete:
                    break
                next(self._pieces, None)
            rest = unpacker.end()
        except UnpackError as error:
            why = str(error)
        else:
            if rest:
                yield rest
            return
        raise _FailedError(Failure.DECODE, why, was_sent=True)

    def read(self) -> bytes:
        """Return all of the body that is still to come."""
        return b"".join(self.iter_bytes())


def _unpacked(reader: AnswerReader) -> bytes:
    encoding = reader.headers.get("content-encoding")
    if not encoding:
        return reader.take()
    unpacker = Unpacker(encoding)
    try:
        return unpacker.feed(reader.take()) + unpacker.end()
    except UnpackError as error:
        why = str(error)
    raise _FailedError(Failure.DECODE, why, was_sent=True)


def _line(name: str, value: str) -> str:
    if _BAD_HEADER.search(value) or not _HEADER_NAME.fullmatch(name):
        # The value is not shown: it may be the key.
        text = f"the header {name[:50]!r} holds what no header may"
        raise _FailedError(Failure.REQUEST, text, was_sent=False)
    return f"{name}: {value}\r\n"


def _parameter(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _close_all(connections: deque[_Connection]) -> None:
    while connections:
        connections.pop().close()


def _is_readable(sock: socket.socket) -> bool:
    if not hasattr(select, "poll"):
        return bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))


def _shut_down(sock: socket.socket) -> None:
    try:
        sock.shutdown(socket.SHUT_RDWR)
    except OSError:
        # It is gone already.
        return
