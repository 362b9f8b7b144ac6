"""A server that answers each request with bytes, for what servers do to connections."""

from __future__ import annotations

import socket
import ssl
import struct
from collections.abc import Callable, Iterable
from typing import Any

from support.socket_server import SocketServer

BODY = b'{"supported_models": []}'
GOOD = b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n%s" % (len(BODY), BODY)

RESET = b"RST"
"""In place of an answer: a reset connection."""

Play = Callable[[int, bytes], bytes | Iterable[bytes] | None]


class RawServer(SocketServer):
    """Answer each request with bytes; None hangs up, and an answer that ends in RESET resets.

    An answer in pieces is sent piece by piece, and ends the connection.

    `play` gets the number of the request, from 1, and the request. With `hang_up_after` each
    connection ends with its first answer.
    """

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self._context = context
        self.received: list[bytes] = []
        self.play: Play = lambda number, request: GOOD
        self.hang_up_after = False
        super().__init__()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _serve(self, taken: socket.socket) -> None:
        try:
            if self._context:
                taken = self._encrypted(taken, self._context)
            with taken, taken.makefile("rb") as file:
                while request := self._read(file):
                    self.received.append(request)
                    answer = self.play(len(self.received), request)
                    if answer is None:
                        return
                    if not isinstance(answer, bytes):
                        for piece in answer:
                            taken.sendall(piece)
                        return
                    taken.sendall(answer.removesuffix(RESET))
                    if answer.endswith(RESET):
                        # With nothing to linger for, closing sends RST instead of FIN.
                        taken.setsockopt(
                            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                        )
                        return
                    if self.hang_up_after:
                        return
        except OSError:
            taken.close()

    def _read(self, file: Any) -> bytes:
        head = b""
        while (line := file.readline()).strip():
            head += line
        length = [
            int(at.partition(b":")[2])
            for at in head.split(b"\r\n")
            if at.lower().startswith(b"content-length")
        ]
        return head + b"\r\n" + (file.read(length[0]) if length else b"") if head else b""
