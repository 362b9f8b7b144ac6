"""The connections of clients: how long one may take to ask, and how many there can be."""

import asyncio
import errno
import logging
import socket
import struct
import sys
import time
from typing import Any

from attrs import define, field
from starlette.types import Scope
from uvicorn.protocols.http.auto import AutoHTTPProtocol

logger = logging.getLogger("tinkex.local.connections")

# Descriptors that connections leave to files: databases, checkpoints, archives.
RESERVED = 32
_SHORTAGE = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)
_SAY_AGAIN_S = 60.0
_RST_ON_CLOSE = struct.pack("hh" if sys.platform == "win32" else "ii", 1, 0)
_BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\n"
    b"content-length: 0\r\n\r\n"
)
_TOO_SLOW = b"HTTP/1.1 408 Request Timeout\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"

_Address = tuple[str, int]


class Connections:
    """The open connections by the client's address, so that one can be cut or reset.

    A client that has not sent a whole header within `header_timeout_s` is disconnected. When the
    process is about to have no file descriptors left, further connections get a 503.
    """

    def __init__(self, header_timeout_s: float) -> None:
        self._open: dict[_Address, asyncio.Transport] = {}
        self._header_timeout_s = header_timeout_s

    def protocol(self) -> type[asyncio.Protocol]:  # noqa: C901 - a class within, counted as one function
        """Return uvicorn's protocol class, which enters its connections here."""
        known, timeout_s = self._open, self._header_timeout_s

        class Entered(AutoHTTPProtocol):  # type: ignore[misc, valid-type]
            _timer: asyncio.TimerHandle | None = None
            _refused = False

            def connection_made(self, transport: asyncio.Transport) -> None:
                self._address = _address(transport)
                if SHORTAGE.is_near(transport):
                    self._refused = True
                    transport.write(_BUSY)
                    transport.close()
                    return
                if self._address is not None:
                    known[self._address] = transport
                super().connection_made(transport)
                self._timer = self.loop.call_later(timeout_s, self._give_up)

            def data_received(self, data: bytes) -> None:
                if self._refused:
                    return
                super().data_received(data)
                if self.cycle is not None and not self.cycle.response_complete:
                    self._stop_timer()
                elif self._timer is None:
                    # The next header on a kept connection has begun.
                    self._timer = self.loop.call_later(timeout_s, self._give_up)

            def eof_received(self) -> Any:
                return None if self._refused else super().eof_received()

            def connection_lost(self, exc: Exception | None) -> None:
                self._stop_timer()
                if self._refused:
                    return
                if self._address is not None:
                    known.pop(self._address, None)
                super().connection_lost(exc)

            def _stop_timer(self) -> None:
                if self._timer is not None:
                    self._timer.cancel()
                    self._timer = None

            def _give_up(self) -> None:
                self._timer = None
                if not self.transport.is_closing():
                    self.transport.write(_TOO_SLOW)
                    self.transport.close()

        return Entered

    def close(self, scope: Scope) -> None:
        """Close a request's connection after its output has been sent."""
        if (transport := self._of(scope)) is not None:
            transport.close()

    def reset(self, scope: Scope) -> None:
        """Reset a request's connection: the client sees `connection reset by peer`."""
        if (transport := self._of(scope)) is not None:
            handle = transport.get_extra_info("socket")
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RST_ON_CLOSE)
            transport.abort()

    def log_failure(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """Log what failed in the event loop: a lack of descriptors in a line now and then.

        Without this, asyncio logs a traceback for each of the attempts that it makes in a row.
        """
        error = context.get("exception")
        if is_shortage(error) and "socket" in context:
            SHORTAGE.log(str(error))
        else:
            loop.default_exception_handler(context)

    def _of(self, scope: Scope) -> asyncio.Transport | None:
        client = scope.get("client")
        return None if client is None else self._open.get((client[0], client[1]))


@define
class Shortage:
    """Whether file descriptors are running out, logged at most once a minute."""

    _logged_at: float = field(init=False, default=-_SAY_AGAIN_S)

    def is_near(self, transport: asyncio.Transport) -> bool:
        """Return whether a connection has one of the last descriptors of this process."""
        limit = _descriptor_limit()
        if limit is None:
            return False
        # The system gives out the lowest number that is free.
        reserved = min(RESERVED, limit // 4)
        if transport.get_extra_info("socket").fileno() < limit - reserved:
            return False
        self.log(f"{limit - reserved} of {limit} are in use")
        return True

    def log(self, reason: str) -> None:
        """Log that connections are refused, unless that was logged a moment ago."""
        now = time.monotonic()
        if now - self._logged_at >= _SAY_AGAIN_S:
            self._logged_at = now
            logger.error(
                "file descriptors run out (%s): further connections are refused until some close."
                " Raise the limit (ulimit -n), or let clients share connections",
                reason,
            )


# Descriptors belong to the process.
SHORTAGE = Shortage()


def is_shortage(error: BaseException | None) -> bool:
    """Return whether an error means that the system has no descriptors or buffers left."""
    return isinstance(error, OSError) and error.errno in _SHORTAGE


def _descriptor_limit() -> int | None:
    """Return how many descriptors this process may have, or None where that is not limited."""
    try:
        import resource
    except ModuleNotFoundError:
        # Windows: handles are not limited like this.
        return None
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return None if soft == resource.RLIM_INFINITY else soft


def _address(transport: asyncio.Transport) -> _Address | None:
    peer: Any = transport.get_extra_info("peername")
    return (str(peer[0]), int(peer[1])) if isinstance(peer, (tuple, list)) else None
