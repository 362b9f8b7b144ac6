"""A proxy on loopback that leads every way to one server, and can be told to misbehave."""

from __future__ import annotations

import base64
import contextlib
import selectors
import socket
import ssl
from typing import Any

from support.socket_server import SocketServer

WANTED = b"HTTP/1.1 407 Proxy Authentication Required\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n"


class ProxyServer(SocketServer):
    """Pass requests and tunnels on to `target`, whatever host they name.

    Attributes:
        heads: The head of each request to the proxy, which for a tunnel is all that it can read.
        password: What it asks for, as "user:password"; None lets everybody through.
        dies: "" or when it hangs up: "at once", or "after the head".

    Args:
        target: Host and port of the server.
        tls: What it shows its own clients; None takes them in the clear.
    """

    def __init__(self, target: tuple[str, int], tls: ssl.SSLContext | None = None) -> None:
        self._target = target
        self._tls = tls
        self.heads: list[bytes] = []
        self.password: str | None = None
        self.dies = ""
        super().__init__()

    def _serve(self, taken: socket.socket) -> None:
        with taken, contextlib.suppress(OSError):
            if self.dies == "at once":
                return
            if self._tls is None:
                self._answer(taken)
                return
            with self._encrypted(taken, self._tls) as encrypted:
                self._answer(encrypted)

    def _answer(self, taken: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            more = taken.recv(65536)
            if not more:
                return
            data += more
        self.heads.append(data.partition(b"\r\n\r\n")[0])
        if self.dies:
            return
        if self.password and self._basic() not in data:
            taken.sendall(WANTED)
            return
        with socket.create_connection(self._target) as out:
            self._open.append(out)
            if data.startswith(b"CONNECT"):
                taken.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            else:
                out.sendall(data)
            _pass_on(taken, out)

    def _basic(self) -> bytes:
        return b"Basic " + base64.b64encode((self.password or "").encode())


def _pass_on(one: socket.socket, other: socket.socket) -> None:
    """Pass on what comes from either side, in one thread: a TLS socket takes no two at once."""
    targets = {one: other, other: one}
    with selectors.DefaultSelector() as selector:
        for source in targets:
            selector.register(source, selectors.EVENT_READ)
        while selector.get_map():
            for key, _ in selector.select():
                source: Any = key.fileobj
                data = source.recv(65536)
                while isinstance(source, ssl.SSLSocket) and source.pending():
                    data += source.recv(65536)
                if data:
                    targets[source].sendall(data)
                else:
                    selector.unregister(source)
                    # The method of the SSL socket would also forget how to decrypt.
                    socket.socket.shutdown(targets[source], socket.SHUT_WR)
