"""Read an HTTP/1.1 answer from bytes, wherever they come from (RFC 9112)."""

from __future__ import annotations

import re
import zlib

from tinkex.transport.answer import Headers

MAX_HEAD = 64 * 1024
MAX_INTERIM = 16

_END_OF_HEAD = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE = re.compile(r"HTTP/1\.([01]) ([1-5]\d\d)(?: (.*))?")
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_CHUNK_SIZE = re.compile(rb"([0-9A-Fa-f]{1,16})[ \t]*(?:;.*)?")
_FORBIDDEN = re.compile(r"[\x00\r\n]")


class ProtocolError(Exception):
    """The bytes are not what HTTP promises."""


class UnpackError(Exception):
    """A body cannot be decompressed."""


class AnswerReader:
    """Take the bytes of one answer as they come.

    Attributes:
        status: The HTTP status; 0 until the head is there.
        reason: The words beside it.
        headers: The headers.
        is_complete: Whether the whole answer is there.
        may_reuse: Whether the connection is good for another exchange after this one.
        began: Whether anything came at all.
    """

    def __init__(self, method: str) -> None:
        self.status = 0
        self.reason = ""
        self.headers = Headers(())
        self.is_complete = False
        self.may_reuse = False
        self.began = False
        self._method = method
        self._buffer = b""
        self._pieces: list[bytes] = []
        self._left: int | None = 0
        self._is_chunked = False
        self._in_trailer = False
        self._interim = 0

    def feed(self, data: bytes) -> None:
        """Take what came next."""
        self.began = True
        if not self.status:
            self._buffer += data
            if not self._read_head():
                return
            data, self._buffer = self._buffer, b""
        if self._is_chunked:
            self._read_chunks(data)
        else:
            self._read_plain(data)

    def feed_end(self) -> None:
        """Note that the server closed the connection.

        Raises:
            ProtocolError: The answer is not whole.
        """
        if self.status and self._left is None and not self._is_chunked:
            self.is_complete = True
        elif not self.is_complete:
            what = "in the middle of its answer" if self.began else "without sending an answer"
            raise ProtocolError(f"the server closed the connection {what}")

    def take(self) -> bytes:
        """Return what came of the body since the last time."""
        pieces, self._pieces = self._pieces, []
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def _read_head(self) -> bool:
        while (end := _END_OF_HEAD.search(self._buffer)) is not None:
            if end.start() > MAX_HEAD:
                break
            head, self._buffer = self._buffer[: end.start()], self._buffer[end.end() :]
            status = self._parse_head(head)
            if status >= 200:
                self.status = status
                self._frame()
                return True
            self._interim += 1
            if status == 101 or self._interim > MAX_INTERIM:
                raise ProtocolError(f"the server sent a {status} that was not asked for")
        if len(self._buffer) > MAX_HEAD:
            raise ProtocolError(f"the answer's headers are longer than {MAX_HEAD} bytes")
        return False

    def _parse_head(self, head: bytes) -> int:
        try:
            text = head.decode("utf-8")
        except UnicodeDecodeError:
            text = head.decode("latin-1")
        first, *lines = text.replace("\r\n", "\n").split("\n")
        found = _STATUS_LINE.fullmatch(first)
        if found is None:
            raise ProtocolError(f"the answer begins with {first[:100]!r}, which is not HTTP/1.1")
        pairs: list[tuple[str, str]] = []
        for line in lines:
            if line[:1] in (" ", "\t") and pairs:
                pairs[-1] = pairs[-1][0], f"{pairs[-1][1]} {line.strip()}"
                continue
            name, colon, value = line.partition(":")
            if not colon or not _TOKEN.fullmatch(name) or _FORBIDDEN.search(value):
                raise ProtocolError("the answer holds a line that is no header")
            pairs.append((name, value.strip(" \t")))
        self.headers = Headers(pairs)
        self.reason = found[3] or ""
        connection = self.headers.get("connection", "").lower()
        self.may_reuse = (
            "keep-alive" in connection if found[1] == "0" else "close" not in connection
        )
        return int(found[2])

    def _frame(self) -> None:
        length = self.headers.get("content-length")
        coding = self.headers.get("transfer-encoding")
        if self._method == "HEAD" or self.status in (204, 304):
            self._left = 0
        elif coding is not None:
            if coding.strip().lower() != "chunked":
                raise ProtocolError(f"the answer's transfer coding {coding[:50]!r} is unknown")
            self._is_chunked = True
            # Both together are how answers are smuggled: what follows is not trusted.
            self.may_reuse = self.may_reuse and length is None
        elif length is None:
            self._left = None
            self.may_reuse = False
        else:
            lengths = {part.strip() for part in length.split(",")}
            size = lengths.pop()
            if lengths or not (size.isascii() and size.isdecimal() and len(size) < 19):
                raise ProtocolError(f"the answer's length {length[:50]!r} is no number")
            self._left = int(size)

    def _read_plain(self, data: bytes) -> None:
        if self._left is not None:
            if len(data) > self._left:
                data, self.may_reuse = data[: self._left], False
            self._left -= len(data)
            self.is_complete = not self._left
        if data:
            self._pieces.append(data)

    def _read_chunks(self, data: bytes) -> None:
        self._buffer += data
        while not self.is_complete:
            if self._left:
                if not self._take_chunk():
                    return
                continue
            end = self._buffer.find(b"\n")
            if end < 0:
                if len(self._buffer) > MAX_HEAD:
                    raise ProtocolError("the answer's chunks cannot be told apart")
                return
            line, self._buffer = self._buffer[:end].removesuffix(b"\r"), self._buffer[end + 1 :]
            self._read_line(line)
        if self._buffer:
            self.may_reuse = False

    def _take_chunk(self) -> bool:
        """Take from the buffer; return whether the chunk with its line end is through."""
        left = self._left or 0
        if left > 2:
            piece = self._buffer[: left - 2]
            if piece:
                self._pieces.append(piece)
            self._buffer = self._buffer[len(piece) :]
            self._left = left - len(piece)
            if self._left > 2:
                return False
        if len(self._buffer) < 2:
            return False
        if self._buffer[:2] != b"\r\n":
            raise ProtocolError("the answer's chunks cannot be told apart")
        self._buffer, self._left = self._buffer[2:], 0
        return True

    def _read_line(self, line: bytes) -> None:
        if self._in_trailer:
            self.is_complete = not line
            return
        found = _CHUNK_SIZE.fullmatch(line)
        if found is None:
            raise ProtocolError("the answer's chunks cannot be told apart")
        size = int(found[1], 16)
        self._in_trailer = size == 0
        # The line end after the data counts as a part of it.
        self._left = size + 2 if size else 0


class Unpacker:
    """Decompress a body as its Content-Encoding says; one that was not asked for stays as it is."""

    def __init__(self, encoding: str) -> None:
        names = [name.strip().lower() for name in encoding.split(",")]
        known = [name for name in reversed(names) if name in ("gzip", "x-gzip", "deflate")]
        self._names = known
        self._inflaters = [zlib.decompressobj(47) for _ in known]
        self._began = [False for _ in known]

    def feed(self, data: bytes) -> bytes:
        """Return what becomes of the next bytes."""
        for at, name in enumerate(self._names):
            data = self._inflate(at, name, data)
        return data

    def _inflate(self, at: int, name: str, data: bytes) -> bytes:
        if not data:
            return data
        began, self._began[at] = self._began[at], True
        try:
            return self._inflaters[at].decompress(data)
        except zlib.error as error:
            why = str(error)
        if name == "deflate" and not began:
            # Some servers mean the bare form.
            self._inflaters[at] = zlib.decompressobj(-zlib.MAX_WBITS)
            try:
                return self._inflaters[at].decompress(data)
            except zlib.error as error:
                why = str(error)
        raise UnpackError(why)

    def end(self) -> bytes:
        """Return the rest; raise an UnpackError if the body was cut off."""
        rest = b""
        for inflater, began in zip(self._inflaters, self._began, strict=True):
            rest = inflater.flush()
            if began and not inflater.eof:
                raise UnpackError("it ends too early")
        return rest
