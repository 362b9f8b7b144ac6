"""Incremental parsing of server-sent events.

The format is that of the HTML standard, section 9.2.6 (Interpreting an event stream).
"""

from __future__ import annotations

from attrs import define, field, frozen

_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


@frozen
class ServerSentEvent:
    """A server-sent event.

    Attributes:
        data: Its data; multiple data lines are joined by line breaks.
        event: Its type; "message" if the server names none.
        id: The last id that the server sent, or None.
    """

    data: str
    event: str = "message"
    id: str | None = None


@define
class EventDecoder:
    r"""Parses events from bytes that arrive in arbitrary pieces.

    >>> decoder = EventDecoder()
    >>> decoder.feed(b"data: on")
    []
    >>> decoder.feed(b"e\n\ndata: two\n\n")
    [ServerSentEvent(data='one', event='message', id=None), ServerSentEvent(data='two', event='message', id=None)]

    Data after the last blank line is not an event; if the stream ends there, it is discarded.
    """

    _line: bytearray = field(init=False, factory=bytearray)
    _data: list[str] = field(init=False, factory=list)
    _event: str = field(init=False, default="")
    _id: str | None = field(init=False, default=None)
    _at_start: bool = field(init=False, default=True)
    _after_cr: bool = field(init=False, default=False)

    def feed(self, chunk: bytes) -> list[ServerSentEvent]:
        """Parse the next bytes and return the events that they complete."""
        events: list[ServerSentEvent] = []
        for piece in chunk.splitlines(keepends=True):
            ended = piece[-1:] in (b"\n", b"\r")
            if self._after_cr and piece == b"\n":
                # The second half of a split CRLF.
                self._after_cr = False
                continue
            self._line += piece.rstrip(b"\r\n") if ended else piece
            self._after_cr = piece.endswith(b"\r")
            if ended:
                line, self._line = bytes(self._line), bytearray()
                event = self._take(line)
                if event is not None:
                    events.append(event)
        return events

    def _take(self, line: bytes) -> ServerSentEvent | None:
        if self._at_start:
            line = line.removeprefix(_BYTE_ORDER_MARK)
            self._at_start = False
        if not line:
            return self._dispatch()
        if line.startswith(b":"):
            return None
        name, _, value = line.decode("utf-8", "replace").partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "event":
            self._event = value
        elif name == "id" and "\0" not in value:
            self._id = value
        return None

    def _dispatch(self) -> ServerSentEvent | None:
        data, kind = self._data, self._event
        self._data, self._event = [], ""
        if not data:
            return None
        return ServerSentEvent("\n".join(data), kind or "message", self._id)
